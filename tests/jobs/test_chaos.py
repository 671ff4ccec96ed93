"""Many jobs of every kind, while their workers are killed again and again."""

from __future__ import annotations

import random
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from jobs.models import DeadLetter, Job
from jobs.submitting import NewJob, submit_many
from testkit.job_workers import JobProcess, job_process, until
from tests.jobs.conftest import Way
from vocabulary.jobs import UNFINISHED, JobStatus, JobType, Priority

JOBS = 200
DEATHS = 4


def mixed(number: int) -> NewJob:
    priority = list(Priority)[number % 3]
    if number % 50 == 0:
        return NewJob(JobType.FAIL, {"how": "refusal"}, priority)
    if number % 10 == 0:
        return NewJob(JobType.FAIL, {"times": 1}, priority)
    if number % 10 == 1:
        return NewJob(JobType.SLEEP, {"seconds": 0.3}, priority)
    return NewJob(JobType.NOOP, priority=priority)


@pytest.mark.timeout(600)
def test_every_job_ends_once_whoever_dies(way: Way, tmp_path: Path) -> None:
    jobs = submit_many(None, [mixed(number) for number in range(JOBS)])
    dice = random.Random(7)
    left = Job.across_tenants.filter(status__in=UNFINISHED)
    with ExitStack() as stack:
        workers: list[JobProcess] = []
        for death in count():
            while len(workers) < 1 + (not way.is_embedded):
                variables = {"REDIS_URL": way.redis_url, "WORKER_CONCURRENCY": "3", "MAX_RETRIES": "10"}
                workers.append(stack.enter_context(job_process(tmp_path, **variables)))
            done = JOBS - left.count()
            if done == JOBS or death == DEATHS:
                break
            until(lambda done=done: JOBS - left.count() > done)  # type: ignore[misc]
            victim = workers.pop(dice.randrange(len(workers)))
            if dice.random() < 0.5:
                victim.kill()
            else:
                victim.kill_child(lambda children: children[-1])
                workers.append(victim)
        until(lambda: not left.exists(), 300)
    statuses = {job.pk: Job.across_tenants.get(pk=job.pk) for job in jobs}
    for number, job in enumerate(jobs):
        found = statuses[job.pk]
        expected = JobStatus.FAILED if number % 50 == 0 else JobStatus.SUCCEEDED
        assert (found.status, found.cancelling) == (expected, False), (number, found.error)
        assert found.finished_at is not None
    assert not DeadLetter.objects.exists()

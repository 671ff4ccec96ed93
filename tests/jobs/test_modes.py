"""What each mode of a worker takes, and that jobs do not notice when the modes change."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from jobs.models import Job
from jobs.submitting import NewJob, submit, submit_many
from testkit.job_workers import ended, until
from tests.jobs.conftest import OVER_REDIS, Way, over_redis
from vocabulary.jobs import UNFINISHED, JobStatus, JobType, Priority

A_WHILE_S = 3.0
ONE = {"WORKER_CONCURRENCY": "1"}
on_postgresql = pytest.mark.parametrize("way", [OVER_REDIS[1]], indirect=True)


def untouched(jobs: list[Job]) -> bool:
    found = Job.across_tenants.filter(pk__in=[job.pk for job in jobs])
    return set(found.values_list("status", "runs")) == {(JobStatus.QUEUED.value, 0)}


@over_redis
def test_a_worker_of_one_priority_takes_no_other(way: Way) -> None:
    high, low = (submit_many(None, [NewJob(JobType.NOOP, priority=one)] * 5) for one in (Priority.HIGH, Priority.LOW))
    with way.worker(WORKER_MODE="specialized", WORKER_PRIORITIES="high"):
        ended(high)
        time.sleep(A_WHILE_S)
        assert untouched(low)
    with way.worker(WORKER_MODE="specialized", WORKER_PRIORITIES="low"):
        ended(low)


@over_redis
def test_a_worker_of_some_types_takes_no_other_and_nothing_is_lost(way: Way) -> None:
    """What it does not take stays where it is."""
    noops = submit_many(None, [NewJob(JobType.NOOP, priority=one) for one in Priority])
    sleeps = submit_many(None, [NewJob(JobType.SLEEP, {"seconds": 0}, one) for one in Priority])
    with way.worker(WORKER_MODE="job-specialized", WORKER_JOB_TYPES="sleep"):
        ended(sleeps)
        time.sleep(A_WHILE_S)
        assert untouched(noops)
    with way.worker(WORKER_MODE="default"):
        ended(noops)


@on_postgresql
def test_a_flood_of_low_jobs_does_not_hold_up_a_high_one(way: Way) -> None:
    submit_many(None, [NewJob(JobType.SLEEP, {"seconds": 0.2}, Priority.LOW)] * 300)
    with ExitStack() as stack:
        for priority in ("low", "high"):
            variables = {"WORKER_MODE": "specialized", "WORKER_PRIORITIES": priority, "WORKER_CONCURRENCY": "2"}
            stack.enter_context(way.worker(**variables))
        until(lambda: Job.across_tenants.filter(status=JobStatus.SUCCEEDED).exists())
        [high] = ended([submit(None, NewJob(JobType.NOOP, priority=Priority.HIGH))])
        assert Job.across_tenants.filter(priority=Priority.LOW, status__in=UNFINISHED).count() > 100
    assert high.status == JobStatus.SUCCEEDED


@on_postgresql
def test_from_mode_to_mode_with_jobs_in_flight_nothing_is_lost(way: Way) -> None:
    jobs = [
        *submit_many(None, [NewJob(JobType.SLEEP, {"seconds": 0.1}, list(Priority)[n % 3]) for n in range(60)]),
        *submit_many(None, [NewJob(JobType.NOOP, priority=list(Priority)[n % 3]) for n in range(60)]),
    ]
    steps: list[list[dict[str, str]]] = [
        [{"WORKER_MODE": "thin", **ONE}],
        [{"WORKER_MODE": "default", "ENABLE_SCHEDULER": "false", **ONE}, {"WORKER_MODE": "scheduler-only"}],
        [{"WORKER_MODE": "specialized", "WORKER_PRIORITIES": one.value, **ONE} for one in Priority],
        [{"WORKER_MODE": "job-specialized", "WORKER_JOB_TYPES": one, **ONE} for one in ("sleep", "noop,fail")],
    ]
    left = Job.across_tenants.filter(status__in=UNFINISHED)
    for number, workers in enumerate(steps):
        with ExitStack() as stack:
            running = [stack.enter_context(way.worker(**one)) for one in workers]
            goal = len(jobs) * (len(steps) - 1 - number) // len(steps)
            until(lambda goal=goal: left.count() <= goal)  # type: ignore[misc]
            for one in running:
                one.stop()
    done = ended(jobs)
    assert {(job.status, job.runs - job.failures) for job in done} == {(JobStatus.SUCCEEDED, 1)}


@on_postgresql
def test_a_scheduler_alone_runs_nothing(way: Way) -> None:
    job = submit(None, NewJob(JobType.NOOP))
    with way.worker(WORKER_MODE="scheduler-only") as worker:
        time.sleep(A_WHILE_S)
        assert len(worker.family()) == 1
        assert untouched([job])


def test_a_thin_worker_without_redis_is_enough(way: Way) -> None:
    with way.worker(WORKER_MODE="thin") as worker:
        [found] = ended([submit(None, NewJob(JobType.NOOP))])
        assert all(process.nice() >= 10 for process in worker.family()), "it makes way for live streams"
    assert found.status == JobStatus.SUCCEEDED

"""Runs the parts of `bench.jobs` with a real Redis, a real database and real workers."""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.jobs.report import Report
from testkit.servers import Redis, database_server
from vocabulary.jobs import UNFINISHED, JobStatus, JobType, Priority

if TYPE_CHECKING:
    from jobs.models import Job
    from jobs.submitting import NewJob
    from testkit.job_workers import JobProcess

HIGH_JOBS = 100
KILLED_EVERY_S = 2.0
PATIENCE_S = 1_800.0


def measure(database: str, jobs: int, slots: int) -> Report:
    with _place(database) as directory:
        submitted, done = _rate(directory, jobs, slots)
        waits = _high_waits(directory, jobs)
        deaths, took_s, ends, runs = _chaos(directory, jobs)
    p50, p95 = (float(np.quantile(waits, share)) for share in (0.5, 0.95))
    return Report(database, jobs, slots, submitted, done, p50, p95, deaths, took_s, ends, runs)


@contextmanager
def _place(database: str) -> Iterator[Path]:
    """A database and a Redis of the bench's own, which this process uses, too."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-jobs-")))
        server = Redis(directory, appendfsync="everysec")
        stack.callback(server.stop)
        url = stack.enter_context(database_server(database))
        os.environ |= {
            "DATABASE_URL": url,
            "REDIS_URL": server.url,
            "FACE_DATA_DIR": str(directory / "var"),
            "DJANGO_SETTINGS_MODULE": "face_app.settings",
        }
        import django

        django.setup()
        from django.core.management import call_command

        call_command("prepare", verbosity=0)
        yield directory


def _rate(directory: Path, number: int, slots: int) -> tuple[float, float]:
    """Jobs submitted and done a second."""
    from django.db.models import Max, Min

    from jobs.models import Job
    from jobs.submitting import NewJob, submit_many
    from testkit.job_workers import ended, job_process

    began = time.monotonic()
    jobs = submit_many(None, [NewJob(JobType.NOOP)] * number)
    submitted = number / (time.monotonic() - began)
    with job_process(directory, WORKER_CONCURRENCY=str(slots)):
        ended(jobs[-1:], PATIENCE_S)
        ended(jobs, PATIENCE_S)
    times = Job.across_tenants.filter(type=JobType.NOOP).aggregate(Min("started_at"), Max("finished_at"))
    took = times["finished_at__max"] - times["started_at__min"]
    return submitted, number / took.total_seconds()


def _high_waits(directory: Path, number: int) -> list[float]:
    """Milliseconds that each high job has waited, beside a queue of low ones and busy workers."""
    from jobs.models import Job
    from jobs.submitting import NewJob, submit, submit_many
    from testkit.job_workers import ended, job_process, until

    low = submit_many(None, [NewJob(JobType.SLEEP, {"seconds": 0.2}, Priority.LOW)] * number)
    waits = []
    with ExitStack() as stack:
        for priority in ("low", "high"):
            stack.enter_context(job_process(directory, WORKER_MODE="specialized", WORKER_PRIORITIES=priority))
        until(lambda: Job.across_tenants.filter(priority=Priority.LOW, status=JobStatus.SUCCEEDED).exists(), PATIENCE_S)
        ended([submit(None, NewJob(JobType.NOOP, priority=Priority.HIGH))])
        for _ in range(HIGH_JOBS):
            [job] = ended([submit(None, NewJob(JobType.NOOP, priority=Priority.HIGH))])
            assert job.started_at is not None
            waits.append((job.started_at - job.created_at).total_seconds() * 1000)
        assert Job.across_tenants.filter(pk=low[-1].pk, status=JobStatus.QUEUED).exists(), "the queue ran dry"
    Job.across_tenants.filter(status__in=UNFINISHED).update(status=JobStatus.CANCELLED)
    return waits


def _mixed(number: int) -> tuple[NewJob, JobStatus]:
    from jobs.submitting import NewJob

    priority = list(Priority)[number % 3]
    if number % 100 == 0:
        return NewJob(JobType.FAIL, {"how": "refusal"}, priority), JobStatus.FAILED
    if number % 100 == 1:
        return NewJob(JobType.FAIL, {}, priority), JobStatus.DEAD
    if number % 20 == 2:
        return NewJob(JobType.FAIL, {"times": 1}, priority), JobStatus.SUCCEEDED
    if number % 10 == 3:
        return NewJob(JobType.SLEEP, {"seconds": 0.1}, priority), JobStatus.SUCCEEDED
    return NewJob(JobType.NOOP, priority=priority), JobStatus.SUCCEEDED


def _chaos(directory: Path, number: int) -> tuple[int, float, dict[str, int], int]:
    """How many deaths there were, how long it took, how the jobs ended, and how many runs that has taken."""
    from jobs.models import Job
    from jobs.submitting import submit_many
    from testkit.job_workers import job_process

    planned = [_mixed(one) for one in range(number)]
    jobs = submit_many(None, [new for new, _ in planned])
    left = Job.across_tenants.filter(pk__gte=jobs[0].pk, status__in=UNFINISHED)
    dice, deaths, began = random.Random(11), 0, time.monotonic()
    with ExitStack() as stack:
        workers: list[JobProcess] = []
        while left.exists():
            if time.monotonic() - began > PATIENCE_S:
                break
            while len(workers) < 2:
                workers.append(stack.enter_context(job_process(directory, WORKER_CONCURRENCY="4")))
            time.sleep(KILLED_EVERY_S)
            deaths += _kill_one(workers, dice)
    took_s = time.monotonic() - began
    found = {job.pk: job for job in Job.across_tenants.filter(pk__gte=jobs[0].pk)}
    ends = Counter(_ending(found[job.pk], status) for job, (_, status) in zip(jobs, planned, strict=True))
    return deaths, took_s, dict(ends), sum(job.runs for job in found.values())


def _kill_one(workers: list[JobProcess], dice: random.Random) -> int:
    """Kill a worker with all of its processes, or, mostly, one of its processes."""
    victim = dice.choice(workers)
    if dice.random() < 0.2:
        workers.remove(victim)
        victim.kill()
        return 1
    children = victim.family()[1:]
    if not children:
        return 0
    dice.choice(children).kill()
    return 1


def _ending(job: Job, expected: JobStatus) -> str:
    return f"{job.status} {'as it should' if job.status == expected else f'in place of {expected}'}"

"""How many jobs are done a second, and how long urgent ones wait."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from django.db.models import Max, Min

from bench.jobs.report import HighWaits, Plan, Rate
from jobs.models import Job
from jobs.submitting import NewJob, submit, submit_many
from testkit.job_workers import ended, job_process, until
from vocabulary.jobs import UNFINISHED, JobStatus, JobType, Priority

HIGH_JOBS = 100
PATIENCE_S = 1_800.0


def rate(directory: Path, plan: Plan) -> Rate:
    began = time.monotonic()
    jobs = submit_many(None, [NewJob(JobType.NOOP)] * plan.jobs)
    submitted = plan.jobs / (time.monotonic() - began)
    with job_process(directory, WORKER_CONCURRENCY=str(plan.slots)):
        ended(jobs[-1:], PATIENCE_S)
        ended(jobs, PATIENCE_S)
    times = Job.across_tenants.filter(type=JobType.NOOP).aggregate(Min("started_at"), Max("finished_at"))
    took = times["finished_at__max"] - times["started_at__min"]
    return Rate(submitted, plan.jobs / took.total_seconds())


def high_waits(directory: Path, plan: Plan) -> HighWaits:
    """Of high jobs beside a queue of low ones and busy workers."""
    low = submit_many(None, [NewJob(JobType.SLEEP, {"seconds": 0.2}, Priority.LOW)] * plan.jobs)
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
    p50, p95 = (float(np.quantile(waits, share)) for share in (0.5, 0.95))
    return HighWaits(p50, p95)

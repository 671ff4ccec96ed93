"""Cancelling jobs and trying them again."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from django.db import transaction

from audit.chain import Event, lock_chain, record
from database import clock
from jobs import endings
from jobs.broker import publishing
from jobs.models import DeadLetter, Job
from jobs.problems import JobNotFinished, JobNotFound, JobOver
from vocabulary.audit import AuditKind
from vocabulary.jobs import UNFINISHED, JobStatus

RETRIED = frozenset({JobStatus.FAILED, JobStatus.DEAD, JobStatus.CANCELLED})
"""Those that ended without doing what was asked."""
WAITING = frozenset({JobStatus.QUEUED, JobStatus.SCHEDULED})


def cancel(job: Job) -> Job:
    """End a job that waits, at once; tell one that runs to stop, which it does at its next check. One that was
    cancelled stays so. Returns it as it is now.

    Raises JobOver, and JobNotFound for one that is deleted meanwhile.
    """
    while True:
        with transaction.atomic():
            if job.tenant_id is not None:
                lock_chain(job.tenant_id)  # Before the job, as the runs of jobs do.
            if _cancel(job):
                _record(AuditKind.JOB_CANCELLED, [job])
                return _anew(job)
        job = _anew(job)
        if job.status == JobStatus.CANCELLED or (job.status == JobStatus.RUNNING and job.cancelling):
            return job
        if job.status not in UNFINISHED:
            raise JobOver(f"the job is {job.status}: there is nothing to cancel")


def retry(job: Job) -> Job:
    """Queue a job that failed, is dead or was cancelled, with all its tries before it. It goes on from its checkpoint.

    Raises JobNotFinished, JobOver, and JobNotFound for one that is deleted meanwhile.
    """
    if not retry_all([job]):
        job = _anew(job)
        if job.status in UNFINISHED:
            raise JobNotFinished(f"the job is {job.status}: cancel it first, or let it end")
        raise JobOver(f"the job is {job.status}: it was done")
    return _anew(job)


def retry_all(jobs: Iterable[Job]) -> int:
    """Queue those among the jobs that ended without doing what was asked. Returns how many did."""
    with transaction.atomic():
        queued = [job for job in jobs if _queue(job)]
        DeadLetter.objects.filter(job__in=queued).delete()
        _record(AuditKind.JOB_RETRIED, queued)
        transaction.on_commit(lambda: publishing.publish(Job.across_tenants.filter(pk__in=[job.pk for job in queued])))
    return len(queued)


def _cancel(job: Job) -> bool:
    rows = Job.across_tenants.filter(pk=job.pk)
    waiting = rows.filter(status__in=WAITING)
    if waiting.update(status=JobStatus.CANCELLED, finished_at=clock.now()):
        endings.tell(job.pk)
        return True
    return bool(rows.filter(status=JobStatus.RUNNING, cancelling=False).update(cancelling=True))


def _queue(job: Job) -> bool:
    now = clock.now()
    ended = Job.across_tenants.filter(pk=job.pk, status__in=RETRIED)
    changed = ended.update(
        status=JobStatus.QUEUED,
        failures=0,
        cancelling=False,
        result=None,
        error="",
        run_at=now,  # Since when it waits.
        lease_until=None,
        published_at=None,
        started_at=None,
        finished_at=None,
    )
    return bool(changed)


def _record(kind: AuditKind, jobs: Iterable[Job]) -> None:
    """Record it with each tenant, in one order of tenants, so that two of these cannot deadlock."""
    of_tenants = sorted((job for job in jobs if job.tenant_id is not None), key=lambda job: (job.tenant_id, job.pk))
    for tenant_id, own in groupby(of_tenants, key=lambda job: job.tenant_id):
        assert tenant_id is not None
        record(tenant_id, *[Event(kind, None, {"job": str(job.public_id), "type": str(job.type)}) for job in own])


def _anew(job: Job) -> Job:
    found = Job.across_tenants.filter(pk=job.pk).first()
    if found is None:
        raise JobNotFound(f"there is no job {job.public_id}")
    return found

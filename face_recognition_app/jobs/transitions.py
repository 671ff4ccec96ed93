"""Changes of a job's state. Each is one statement with its condition, so that of several processes one makes it."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Case, DateTimeField, F, QuerySet, Value, When

from database import clock
from jobs import endings
from jobs.models import DeadLetter, Job
from jobs.workers.leases import LEASE
from vocabulary.jobs import JobStatus, JobType

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 2.0
LONGEST_WAIT_S = 600.0
MAX_TRACEBACK_CHARACTERS = 20_000


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job that this process has from now on, as its row says."""

    pk: int
    public_id: str
    type: str
    priority: str
    tenant_pk: int | None
    payload: Any
    checkpoint: Any
    number: int
    failures: int
    done: int
    total: int | None
    actor: Any
    request_id: str


_UNHURRIED = "SET LOCAL synchronous_commit TO OFF; "
"""A claim that a crash of the server undoes leaves the job queued: it need not wait for the disk."""
_CLAIM = """
    UPDATE jobs_job SET status = 'running', runs = runs + 1, lease_until = {lease}, worker = %s,
        started_at = COALESCE(started_at, {now})
    WHERE id = %s AND status = 'queued'
    RETURNING public_id, type, priority, tenant_id, payload, checkpoint, runs, failures, done, total, actor, request_id
"""


def claim(job_pk: int, worker: str) -> Claimed | None:
    """Begin a run. None when the job is not queued: another has it, or it was delivered twice, or cancelled."""
    statement = _CLAIM.format(now=clock.in_sql(), lease=clock.in_sql(LEASE))
    postgresql = connection.vendor == "postgresql" and not connection.in_atomic_block
    with connection.cursor() as cursor:
        cursor.execute(_UNHURRIED + statement if postgresql else statement, [worker, job_pk])
        found = cursor.fetchone() if not postgresql or cursor.nextset() else None
    if found is None:
        return None
    public_id, type_, priority, tenant, payload, checkpoint, runs, failures, done, total, actor, request_id = found
    payload, checkpoint, actor = (_from_json(value) for value in (payload, checkpoint, actor))
    return Claimed(
        job_pk,
        str(UUID(str(public_id))),
        type_,
        priority,
        tenant,
        payload,
        checkpoint,
        runs,
        failures,
        done,
        total,
        actor,
        request_id,
    )


def succeed(claimed: Claimed, result: Any) -> bool:
    """Returns False when the run has lost its lease: another run decides."""
    return _end(claimed, JobStatus.SUCCEEDED, result=result)


def refuse(claimed: Claimed, reason: str) -> bool:
    return _end(claimed, JobStatus.FAILED, error=reason[:500])


def stop(claimed: Claimed) -> bool:
    return _end(claimed, JobStatus.CANCELLED)


def again(claimed: Claimed, after_s: float) -> bool:
    """Queue the job for its next part. That is no failure."""
    return bool(_mine(claimed).update(**_waiting(clock.now(), after_s)))


def give_back(job_pk: int, number: int) -> bool:
    """Queue the job as if the run had not begun it: its worker stops."""
    running = Job.across_tenants.filter(pk=job_pk, runs=number, status=JobStatus.RUNNING)
    return bool(running.update(**_waiting(clock.now(), 0)))


def fail(claimed: Claimed, reason: str, traceback: str, retries: int) -> JobStatus | None:
    """Note a failed run: the job waits for its next try, or is dead. None when the run has lost its lease."""
    return _fail(_mine(claimed), claimed.pk, claimed.failures, reason, traceback, retries)


def lose(job_pk: int, number: int, reason: str, retries: int, *, silent_only: bool = False) -> JobStatus | None:
    """Note that the run has ended without a word: its process died, or was ended at its time limit.

    `silent_only`: unless it has renewed its lease meanwhile.
    """
    running = Job.across_tenants.filter(pk=job_pk, runs=number, status=JobStatus.RUNNING)
    if silent_only:
        running = running.filter(lease_until__lt=clock.now())
    failures = running.values_list("failures", flat=True).first()
    return None if failures is None else _fail(running, job_pk, failures, reason, "", retries)


def wait_before(failures: int) -> float:
    """Seconds before the try after so many failures: 2, 4, 8 ... 600, each up to a quarter more or less, so that jobs
    that failed together do not come back together."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (failures - 1)) * random.uniform(0.75, 1.25)  # noqa: S311


def make_due(job_pks: Sequence[int]) -> int:
    """Queue jobs whose time has come. Returns how many."""
    scheduled = Job.across_tenants.filter(pk__in=job_pks, status=JobStatus.SCHEDULED)
    return scheduled.update(status=JobStatus.QUEUED, published_at=None)


def _fail(
    running: QuerySet[Job], job_pk: int, failures: int, reason: str, traceback: str, retries: int
) -> JobStatus | None:
    now = clock.now()
    if failures < retries:
        changed = running.update(
            failures=F("failures") + 1, error=reason[:500], **_waiting(now, wait_before(failures + 1))
        )
        return JobStatus.SCHEDULED if changed else None
    with transaction.atomic():
        if not running.update(
            status=JobStatus.DEAD, failures=F("failures") + 1, error=reason[:500], finished_at=now, lease_until=None
        ):
            return None
        DeadLetter.objects.create(
            job_id=job_pk, reason=reason[:500], traceback=traceback[-MAX_TRACEBACK_CHARACTERS:], at=now
        )
        endings.tell(job_pk)
    return JobStatus.DEAD


def _waiting(now: datetime, after_s: float) -> dict[str, Any]:
    """The job waits, unless it is to stop: then it ends here, and not in a run that it would wait for."""
    later = after_s > 0
    waits = JobStatus.SCHEDULED if later else JobStatus.QUEUED
    return {
        "status": Case(When(cancelling=True, then=Value(JobStatus.CANCELLED)), default=Value(waits)),
        "finished_at": Case(When(cancelling=True, then=Value(now, DateTimeField())), default=None),
        "run_at": now + timedelta(seconds=after_s) if later else None,
        "lease_until": None,
        "published_at": None,
    }


_END = """
    UPDATE jobs_job SET status = %s, result = %s, error = %s, finished_at = {now}, lease_until = NULL
    WHERE id = %s AND runs = %s AND status = 'running'
"""


def _end(claimed: Claimed, status: JobStatus, result: Any = None, error: str = "") -> bool:
    if not _is_told_of(claimed, status):
        return _set_end(claimed, status, result, error)
    with transaction.atomic():
        ended = _set_end(claimed, status, result, error)
        if ended:
            endings.tell(claimed.pk)
    return ended


def _is_told_of(claimed: Claimed, status: JobStatus) -> bool:
    """Nobody is told of the operator's own jobs, and of the end of telling only when it went wrong."""
    is_telling = claimed.type == JobType.DELIVER_WEBHOOK and status is JobStatus.SUCCEEDED
    return claimed.tenant_pk is not None and not is_telling


def _set_end(claimed: Claimed, status: JobStatus, result: Any, error: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_END.format(now=clock.in_sql()), [status, _as_json(result), error, claimed.pk, claimed.number])
        return bool(cursor.rowcount)


def _as_json(value: Any) -> Any:
    field = Job._meta.get_field("result")
    return field.get_db_prep_save(value, connection)


def _from_json(value: Any) -> Any:
    """PostgreSQL gives text as well: Django's connection leaves JSON to its fields."""
    return json.loads(value) if isinstance(value, str) else value


def _mine(claimed: Claimed) -> QuerySet[Job]:
    return Job.across_tenants.filter(pk=claimed.pk, runs=claimed.number, status=JobStatus.RUNNING)

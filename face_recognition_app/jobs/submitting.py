"""Accepting jobs. What was accepted is in the database, whether or not a broker can be reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from pydantic import ValidationError

from audit import actor as actors
from audit.chain import Event, record
from database import clock
from jobs.broker import publishing
from jobs.kinds import Kind, kind_of
from jobs.models import Job
from jobs.problems import InvalidJob
from logs import request_id
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.jobs import JobStatus, JobType, Priority

MAX_KEY_CHARACTERS = 128
MAX_SUBJECT_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class NewJob:
    """`run_at`: not before; None for at once. `idempotency_key`: a second job of the tenant with it is the first.
    `request_digest`: what was asked with the key, to be compared with what is asked with it again."""

    type: JobType
    payload: Mapping[str, Any] = field(default_factory=dict)
    priority: Priority = Priority.NORMAL
    run_at: datetime | None = None
    idempotency_key: str | None = None
    request_digest: str = ""

    @property
    def subject_id(self) -> str:
        """The person that the payload names; empty for none."""
        named = self.payload.get("subject_id")
        return named if isinstance(named, str) and len(named) <= MAX_SUBJECT_CHARACTERS else ""


def submit(tenant: Tenant | None, new: NewJob) -> Job:
    """Accept a job, in the caller's transaction or one of its own. Raises InvalidJob."""
    kind = _checked(tenant, new)
    with transaction.atomic():
        if new.idempotency_key is not None:
            row, created = _once(tenant, new)
        else:
            row, created = _row(tenant, new, clock.now()), True
            row.save(force_insert=True)
        if created:
            _record(tenant, kind, row)
            transaction.on_commit(lambda: publishing.publish([row]))
    return row


def submit_many(tenant: Tenant | None, new: Sequence[NewJob]) -> list[Job]:
    """Accept jobs without idempotency keys, all of them or none. Raises InvalidJob."""
    kinds = [_checked(tenant, one) for one in new]
    with transaction.atomic():
        now = clock.now()
        rows = Job.objects.bulk_create([_row(tenant, one, now) for one in new], batch_size=1_000)
        for kind, row in zip(kinds, rows, strict=True):
            _record(tenant, kind, row)
        transaction.on_commit(lambda: publishing.publish(rows))
    return rows


def _checked(tenant: Tenant | None, new: NewJob) -> Kind:
    kind = kind_of(new.type)
    if kind.of_tenant != "either" and (kind.of_tenant == "always") != (tenant is not None):
        raise InvalidJob(f"a job {new.type} is {'' if tenant is None else 'not '}for one tenant")
    try:
        kind.payload.model_validate(new.payload)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(["payload", *(str(part) for part in problem["loc"])])
        raise InvalidJob(f"{place}: {problem['msg'].removeprefix('Value error, ')}") from error
    return kind


def _once(tenant: Tenant | None, new: NewJob) -> tuple[Job, bool]:
    row = _row(tenant, new, clock.now())
    made = Job.objects.bulk_create([row], ignore_conflicts=True)[0]
    found = Job.across_tenants.get(tenant=tenant, idempotency_key=new.idempotency_key)
    return found, found.public_id == made.public_id


def _row(tenant: Tenant | None, new: NewJob, now: datetime) -> Job:
    actor = actors.current.get()
    later = new.run_at is not None and new.run_at > now
    return Job(
        tenant=tenant,
        type=new.type,
        priority=new.priority,
        status=JobStatus.SCHEDULED if later else JobStatus.QUEUED,
        payload=dict(new.payload),
        subject_id=new.subject_id,
        run_at=new.run_at,
        idempotency_key=new.idempotency_key,
        request_digest=new.request_digest,
        actor={"kind": actor.kind.value, "reference": actor.reference, "name": actor.name},
        request_id=request_id.current.get(),
        created_at=now,
    )


def _record(tenant: Tenant | None, kind: Kind, row: Job) -> None:
    if tenant is not None and kind.recorded:
        record(tenant.pk, Event(AuditKind.JOB_CREATED, None, {"job": str(row.public_id), "type": kind.type.value}))

"""Endpoints that read and lift a subject's locks after failed attempts."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router, Status

from config.durations import whole_seconds
from gallery import people
from gallery.records.references import record_reading
from recognition.api.auth import caller, needs
from recognition.api.openapi.document import raises
from recognition.api.schemas import LockDetail, SubjectLocks
from recognition.sessions import lockout
from recognition.worker import of_request
from tenants.models import Tenant
from tenants.scopes import Scope
from vocabulary.audit import AuditKind
from vocabulary.errors import ErrorCode

router = Router(tags=["subjects"], auth=needs(Scope.SUBJECTS))


@router.get(
    "{subject_id}/lock/",
    response=SubjectLocks,
    auth=needs(Scope.SUBJECTS, Scope.READ),
    summary="What holds a person back after failed attempts",
)
@raises(ErrorCode.SUBJECT_NOT_FOUND)
async def read_locks(request: HttpRequest, subject_id: str) -> SubjectLocks:
    return await of_request(request).database.run(_read, caller(request).tenant, subject_id)


@router.delete("{subject_id}/lock/", response={204: None}, summary="Lift it")
@raises(ErrorCode.SUBJECT_NOT_FOUND)
async def lift_locks(request: HttpRequest, subject_id: str) -> Status[None]:
    await of_request(request).database.run(_lift, caller(request).tenant, subject_id)
    return Status(204, None)


def _read(tenant: Tenant, subject_id: str) -> SubjectLocks:
    locks = lockout.locks_of(tenant, subject_id)
    if not locks:
        people.find_subject(tenant, subject_id)
    record_reading(tenant, subject_id, AuditKind.LOCKS_READ)
    return SubjectLocks(subject_id=subject_id, locks=[_detail(lock) for lock in locks])


def _lift(tenant: Tenant, subject_id: str) -> None:
    """Delete the subject's counters of failures; also for an unknown subject, whose failed enrolments count."""
    if not lockout.lift_subject(tenant, subject_id):
        people.find_subject(tenant, subject_id)


def _detail(lock: lockout.Lock) -> LockDetail:
    return LockDetail(
        applies_to=lockout.PLACES[lock.kind],
        device_id=lock.device or None,
        retry_after_s=whole_seconds(lock.retry_after_ms),
    )

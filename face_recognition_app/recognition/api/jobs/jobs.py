"""Endpoints of background jobs: ask for one, list and read them, cancel one, and try one again.

What failed inside is the operator's to see (`manage.py jobs show`): a client is told that it failed, and after how many
tries.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Header, Query, Router, Schema, Status
from pydantic import AfterValidator, AwareDatetime, Field

from database.pages import page_before
from gallery.records.metadata import storable
from gallery.records.references import record_reading
from jobs import access, changing
from jobs.asking import ask
from jobs.kinds import kind_of
from jobs.models import Job
from jobs.submitting import NewJob
from jobs.workers.deaths import TIMED_OUT, WORKER_DIED
from recognition.api.auth import Caller, caller, needs
from recognition.api.openapi.document import raises
from recognition.api.pages import DEFAULT_LIMIT, Limit, cursor_for, key_in
from recognition.api.schemas import Request
from recognition.worker import of_request
from tenants.scopes import Scope
from vocabulary.audit import AuditKind
from vocabulary.errors import ErrorCode
from vocabulary.jobs import JobStatus, JobType, Priority

router = Router(tags=["jobs"], auth=needs(Scope.SUBJECTS, Scope.ADMIN))
READERS = needs(Scope.SUBJECTS, Scope.READ, Scope.ADMIN)
MAX_IDEMPOTENCY_KEY = 255
MAX_PAYLOAD_CHARACTERS = 32_768
TOLD_FAULTS = {TIMED_OUT, WORKER_DIED}
FAULT = "something went wrong on the server"


def _in_utc(time: datetime) -> datetime:
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("not a time that can be stored") from error


class AskedJob(Request):
    type: JobType
    priority: Priority = Priority.NORMAL
    payload: Annotated[dict[str, Any], AfterValidator(storable(MAX_PAYLOAD_CHARACTERS))] = Field(
        default_factory=dict, description="As the type needs it: docs/jobs.md."
    )
    run_at: Annotated[AwareDatetime, AfterValidator(_in_utc)] | None = Field(
        None, description="Not before; null: at once."
    )

    def new(self, idempotency_key: str | None) -> NewJob:
        return NewJob(self.type, self.payload, self.priority, self.run_at, idempotency_key)


class Progress(Schema):
    done: int
    total: int | None = Field(description="Null: not known.")


class JobDetail(Schema):
    """`result`: as the type gives it; null until it succeeded. `error`: why it failed. `run_at`: also the time of the
    next try, after one that failed. `tries`: that failed, and the one that is going on or has ended the job."""

    id: uuid.UUID
    type: JobType
    priority: Priority
    status: JobStatus
    progress: Progress
    result: dict[str, Any] | None
    error: str | None
    tries: int
    run_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPage(Schema):
    items: list[JobDetail]
    next_cursor: str | None


@router.post("", response={202: JobDetail}, summary="Ask for a job")
@raises(ErrorCode.IDEMPOTENCY_CONFLICT)
async def create_job(
    request: HttpRequest,
    asked: AskedJob,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=MAX_IDEMPOTENCY_KEY)] = None,
) -> Status[JobDetail]:
    worker = of_request(request)
    in_production = worker.settings.app_env == "production"
    return Status(
        202, await worker.database.run(_ask, caller(request), asked.new(idempotency_key), in_production=in_production)
    )


@router.get("", response=JobPage, auth=READERS, summary="List those that the key may read, newest first")
async def list_jobs(
    request: HttpRequest,
    status: JobStatus | None = None,
    type: Annotated[JobType | None, Query()] = None,
    cursor: str | None = None,
    limit: Limit = DEFAULT_LIMIT,
) -> JobPage:
    who = caller(request)
    return await of_request(request).database.run(_list, who, status, type, key_in(who.tenant, cursor), limit)


@router.get("{uuid:job_id}/", response=JobDetail, auth=READERS, summary="State, progress and result")
@raises(ErrorCode.JOB_NOT_FOUND)
async def read_job(request: HttpRequest, job_id: uuid.UUID) -> JobDetail:
    return await of_request(request).database.run(_read, caller(request), job_id)


@router.delete("{uuid:job_id}/", response=JobDetail, summary="Cancel; one that runs stops at its next check")
@raises(ErrorCode.JOB_NOT_FOUND, ErrorCode.JOB_OVER)
async def cancel_job(request: HttpRequest, job_id: uuid.UUID) -> JobDetail:
    return await of_request(request).database.run(_cancel, caller(request), job_id)


@router.post("{uuid:job_id}/retry/", response=JobDetail, summary="Try one again that failed, is dead or was cancelled")
@raises(ErrorCode.JOB_NOT_FOUND, ErrorCode.JOB_OVER, ErrorCode.JOB_NOT_FINISHED)
async def retry_job(request: HttpRequest, job_id: uuid.UUID) -> JobDetail:
    return await of_request(request).database.run(_retry, caller(request), job_id)


def _ask(who: Caller, new: NewJob, *, in_production: bool) -> JobDetail:
    return _told(who, [ask(who.tenant, who.scopes, new, in_production=in_production)])[0]


def _list(who: Caller, status: JobStatus | None, type_: JobType | None, before: int, limit: int) -> JobPage:
    found = page_before(access.jobs_of(who.tenant, who.scopes, status, type_), before, limit)
    return JobPage(items=_told(who, found.rows), next_cursor=cursor_for(who.tenant, found.last_key))


def _read(who: Caller, job_id: uuid.UUID) -> JobDetail:
    return _told(who, [access.find_to_read(who.tenant, who.scopes, job_id)])[0]


def _cancel(who: Caller, job_id: uuid.UUID) -> JobDetail:
    return _detail(changing.cancel(access.find_to_change(who.tenant, who.scopes, job_id)))


def _retry(who: Caller, job_id: uuid.UUID) -> JobDetail:
    return _detail(changing.retry(access.find_to_change(who.tenant, who.scopes, job_id)))


def _told(who: Caller, jobs: list[Job]) -> list[JobDetail]:
    """The jobs' details, recorded as read where they have results, which may be about people."""
    for job in jobs:
        if job.result is not None and kind_of(JobType(job.type)).recorded:
            record_reading(who.tenant, job.subject_id, AuditKind.JOB_READ, job=str(job.public_id), type=str(job.type))
    return [_detail(job) for job in jobs]


def _detail(job: Job) -> JobDetail:
    return JobDetail(
        id=job.public_id,
        type=JobType(job.type),
        priority=Priority(job.priority),
        status=JobStatus(job.status),
        progress=Progress(done=job.done, total=job.total),
        result=job.result,
        error=_error(job),
        tries=job.failures + (job.status in (JobStatus.RUNNING, JobStatus.SUCCEEDED, JobStatus.FAILED)),
        run_at=job.run_at,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def _error(job: Job) -> str | None:
    """What the job itself found goes out as it is; what an exception said may tell of the server's inside."""
    if not job.error or job.status == JobStatus.SUCCEEDED:
        return None
    return job.error if job.status == JobStatus.FAILED or job.error in TOLD_FAULTS else FAULT

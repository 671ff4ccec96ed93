"""Why a job cannot be made, found or changed. Each may be told to a client."""

from __future__ import annotations

from tenants.scopes import Scope
from vocabulary.errors import ErrorCode, ServiceError


class JobProblem(ServiceError):
    """Base of the problems with jobs."""


class InvalidJob(JobProblem):
    """The payload is not one of this type, or the type is not for this caller."""

    code = ErrorCode.VALIDATION_ERROR


class IdempotencyConflict(JobProblem):
    code = ErrorCode.IDEMPOTENCY_CONFLICT


class ScopeMissing(JobProblem):
    """What the type of job asks for is more than the caller may do. `needs`: one of these would do."""

    code = ErrorCode.SCOPE_MISSING

    def __init__(self, type_: str, needs: list[Scope]) -> None:
        super().__init__(f"a job {type_} needs the scope {' or '.join(needs)}")
        self.details = {"needs": needs}


class JobNotFound(JobProblem):
    code = ErrorCode.JOB_NOT_FOUND


class JobNotFinished(JobProblem):
    code = ErrorCode.JOB_NOT_FINISHED


class JobOver(JobProblem):
    code = ErrorCode.JOB_OVER

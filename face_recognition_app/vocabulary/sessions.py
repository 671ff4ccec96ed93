"""Kind, status and liveness outcome of a session."""

from __future__ import annotations

from enum import StrEnum


class SessionKind(StrEnum):
    ENROLLMENT = "enrollment"
    AUTHENTICATION = "authentication"
    IDENTIFICATION = "identification"


class SessionStatus(StrEnum):
    CREATED = "created"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class LivenessOutcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_REQUIRED = "not_required"

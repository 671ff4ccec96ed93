"""What a session is for, how far it is, and what it found of liveness."""

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

"""Requests for a session that are declined, each with what the backend can do about it."""

from __future__ import annotations

from typing import Any

from vocabulary.errors import ErrorCode, ServiceError


class Refusal(ServiceError):
    """
    Refusal
    ├── AttemptsExceeded     the subject, the device or the address failed too often
    ├── PolicyTooWeak        the tenant asks for more
    └── ChallengeImpossible  what the person can do and the client can show is too little
    """

    def __init__(self, message: str, details: dict[str, Any], retry_after_ms: int | None = None) -> None:
        super().__init__(message, details, retry_after_ms)
        self.details = details
        self.retry_after_ms = retry_after_ms


class AttemptsExceeded(Refusal):
    code = ErrorCode.ATTEMPTS_EXCEEDED


class PolicyTooWeak(Refusal):
    code = ErrorCode.POLICY_TOO_WEAK


class ChallengeImpossible(Refusal):
    code = ErrorCode.CHALLENGE_IMPOSSIBLE

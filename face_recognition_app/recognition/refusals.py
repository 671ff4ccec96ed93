"""Requests for a session that are declined, each with what the backend can do about it."""

from __future__ import annotations

from typing import Any

from ops.durations import whole_seconds
from vocabulary.errors import ErrorCode, ServiceError


class Refusal(ServiceError):
    """
    Refusal
    ├── AttemptsExceeded     the subject, the device or the address failed too often
    ├── PolicyTooWeak        the tenant asks for more
    └── ChallengeImpossible  what the person can do and the client can show is too little
    """

    def __init__(self, message: str, details: dict[str, Any]) -> None:
        super().__init__(message, details)
        self.details = details


class AttemptsExceeded(Refusal):
    code = ErrorCode.ATTEMPTS_EXCEEDED

    def __init__(self, retry_after_ms: int) -> None:
        seconds = whole_seconds(retry_after_ms)
        super().__init__(f"too many failed attempts: wait {seconds} s", {"retry_after_s": seconds})
        self.retry_after_ms = retry_after_ms


class PolicyTooWeak(Refusal):
    code = ErrorCode.POLICY_TOO_WEAK


class ChallengeImpossible(Refusal):
    code = ErrorCode.CHALLENGE_IMPOSSIBLE

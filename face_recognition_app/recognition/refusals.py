"""Requests for a session that are declined, each with what the backend can do about it."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """
    Refusal                  details and retry_after_s go into the answer
    ├── AttemptsExceeded     the subject, the device or the address failed too often
    ├── PolicyTooWeak        the tenant asks for more
    └── ChallengeImpossible  what the person can do and the client can show is too little
    """

    def __init__(self, message: str, details: dict[str, Any], retry_after_s: int | None = None) -> None:
        super().__init__(message, details, retry_after_s)
        self.message = message
        self.details = details
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return self.message


class AttemptsExceeded(Refusal):
    pass


class PolicyTooWeak(Refusal):
    pass


class ChallengeImpossible(Refusal):
    pass

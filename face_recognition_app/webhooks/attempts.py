"""One try of a delivery, as the delivery log keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webhooks.sending.sender import Answer


@dataclass(frozen=True, slots=True)
class Attempt:
    """`status_code`: None without an answer. `answer`: its first 500 bytes. `error`: empty for a success."""

    at: datetime
    status_code: int | None
    milliseconds: int
    answer: str
    error: str

    @classmethod
    def of(cls, answer: Answer, at: datetime) -> Attempt:
        return cls(at, answer.status, answer.milliseconds, answer.text, answer.error)

    @classmethod
    def not_made(cls, why: str, at: datetime) -> Attempt:
        return cls(at, None, 0, "", why)

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Attempt:
        return cls(**{**kept, "at": datetime.fromisoformat(kept["at"])})

    def as_json(self) -> dict[str, Any]:
        return {
            "at": self.at.isoformat(),
            "status_code": self.status_code,
            "milliseconds": self.milliseconds,
            "answer": self.answer,
            "error": self.error,
        }

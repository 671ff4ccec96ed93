"""Which job a log line is about."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobContext:
    """`id`: the public one. `tenant`: its key in the database; None for the operator's own jobs."""

    id: str
    type: str
    tenant: int | None


current: ContextVar[JobContext | None] = ContextVar("job", default=None)

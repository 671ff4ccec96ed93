"""What a log line is about besides its request: whose it is, and of which session or job."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobContext:
    """`id`: the public one."""

    id: str
    type: str


job: ContextVar[JobContext | None] = ContextVar("job", default=None)
session: ContextVar[str | None] = ContextVar("session", default=None)
tenant: ContextVar[int | None] = ContextVar("tenant", default=None)
"""Its key in the database; None before it is known, and for what is the operator's own."""

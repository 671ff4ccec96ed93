"""Django's PostgreSQL backend with time-outs on the client's side, for a server that takes a statement and hangs.

Neither the server's own time-outs nor TCP's end such a wait: the process stands still, and the kernel goes on to
acknowledge packets.
"""

from __future__ import annotations

from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, TypeVar

import psycopg
from django.db.backends.postgresql import base
from psycopg.abc import PQGen

R = TypeVar("R")

POLL_S = 0.1
HEALTH_CHECK_TIMEOUT_S = 1.0

statement_timeout_s: ContextVar[float | None] = ContextVar("statement_timeout_s", default=None)
"""Time-out of each statement of this thread; None, as for a migration, is no limit."""


class TimedConnection(psycopg.Connection[Any]):
    """Closes itself when the server does not answer in time. Whether the statement was carried out is then unknown."""

    def wait(self, gen: PQGen[R], interval: float = POLL_S, timeout: float | None = None) -> R:
        timeout_s = statement_timeout_s.get() if timeout is None else timeout
        try:
            return super().wait(gen, interval, timeout_s)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


class DatabaseWrapper(base.DatabaseWrapper):
    Database: Any = SimpleNamespace(**{**vars(psycopg), "connect": TimedConnection.connect})

    def is_usable(self) -> bool:
        before = statement_timeout_s.set(HEALTH_CHECK_TIMEOUT_S)
        try:
            return super().is_usable()
        finally:
            statement_timeout_s.reset(before)

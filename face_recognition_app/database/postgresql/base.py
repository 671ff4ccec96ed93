"""Django's PostgreSQL backend with time-outs on the client's side, for a server that takes a statement and hangs.

Neither the server's own time-outs nor TCP's end such a wait: the process stands still, and the kernel goes on to
acknowledge packets.

A process has DB_POOL_SIZE + DB_MAX_OVERFLOW connections at most. Each thread keeps its own, so the threads are the
pool: another one beside them would lend connections to threads that have one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextvars import ContextVar
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeVar

import psycopg
from django.db.backends.postgresql import base
from psycopg.abc import PQGen

from config.service import service_settings
from database.postgresql.limit import ConnectionLimit

R = TypeVar("R")

POLL_S = 0.1
HEALTH_CHECK_TIMEOUT_S = 1.0
PATIENCE_S = 2.0
"""How long a thread waits for one of the process's connections before it gets an error, as for an outage."""

statement_timeout_s: ContextVar[float | None] = ContextVar("statement_timeout_s", default=None)
"""Time-out of each statement of this thread; None, as for a migration, is no limit."""

_limits: dict[str, ConnectionLimit] = {}
"""By the alias of the database in Django's settings."""


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

    def get_new_connection(self, conn_params: Mapping[str, Any]) -> Any:
        limit = _limits.setdefault(self.alias, ConnectionLimit())
        # PostgreSQL tells it in pg_stat_activity; DATABASE_URL can name another.
        named = {"fallback_application_name": f"face {os.getpid()}", **conn_params}
        connect = partial(super().get_new_connection, named)
        return limit.open(connect, service_settings().db_connections, PATIENCE_S)

    def _close(self) -> None:
        super()._close()  # type: ignore[misc]  # not in the stubs
        if self.alias in _limits:
            _limits[self.alias].note_closed()

    def is_usable(self) -> bool:
        before = statement_timeout_s.set(HEALTH_CHECK_TIMEOUT_S)
        try:
            return super().is_usable()
        finally:
            statement_timeout_s.reset(before)

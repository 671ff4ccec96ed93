"""The time that all processes of the service agree on. Times that are stored and compared come from here.

PostgreSQL: the database server's clock. SQLite: all processes are on one machine, so it is the machine's clock as read
when this module was imported, plus the time since then by a clock that nobody can set. `gunicorn_config.py` imports the
module, so that workers inherit the master's reading: setting the machine's clock changes nothing until a restart.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.db.models.functions import Now


def _uptime_s() -> float:
    """Seconds since the machine's start. Unlike `time.monotonic` it goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


_started_at_s = time.time() - _uptime_s()
"""When the machine started, in seconds since the epoch."""


def now() -> datetime:
    """The time, in UTC. One query on PostgreSQL, so not for the event loop; none on SQLite."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return datetime.fromtimestamp(_started_at_s + _uptime_s(), UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        found: datetime = cursor.fetchone()[0]
    return found.astimezone(UTC)


def in_query() -> datetime | Now:
    """The same time as a value in a query, which costs no query of its own."""
    from django.db import connection
    from django.db.models.functions import Now

    return Now() if connection.vendor == "postgresql" else now()


def in_sql(later: timedelta = timedelta(0)) -> str:
    """The same time, or a later one, as a piece of a statement in SQL."""
    from django.db import connection

    if connection.vendor == "postgresql":
        return f"(clock_timestamp() + interval '{later.total_seconds()} seconds')"
    return f"'{connection.ops.adapt_datetimefield_value(now() + later)}'"

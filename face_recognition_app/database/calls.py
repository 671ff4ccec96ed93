"""Database calls from the event loop, on threads of their own and with time-outs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from database.connections import good_connection
from database.outages import RETRY_AFTER_MS, outage_of
from database.postgresql.base import statement_timeout_s
from scheduling.threads import StartedThreads
from wire.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")

STATEMENT_TIMEOUT_S = 5.0
"""Time-out of one statement of PostgreSQL. SQLite waits as long for its lock, see the project's settings."""
THREAD_TIMEOUT_S = 3.0
"""Time-out for a thread: it ends calls early while a database that does not answer holds all threads."""


def with_connection(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` on this thread with a database connection that was tested or is new.

    Raises what `function` raises, and Unavailable when the database or the disk cannot be used.
    """
    before = statement_timeout_s.set(STATEMENT_TIMEOUT_S)
    try:
        with good_connection():
            return function(*args, **kwargs)
    except Exception as error:
        outage = outage_of(error)
        if outage is None or outage is error:
            raise
        raise outage from error
    finally:
        statement_timeout_s.reset(before)


class DatabaseThreads:
    """Threads for database calls, each with a connection. Django's own helpers put every call of a process on one."""

    def __init__(self, size: int) -> None:
        self.threads = StartedThreads(size, "database")

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `with_connection`, on one of the threads. Raises Unavailable, too, if none is free in THREAD_TIMEOUT_S."""
        call = partial(with_connection, function, *args, **kwargs)
        work = self.threads.submit(copy_context().run, call)
        timer = asyncio.get_running_loop().call_later(THREAD_TIMEOUT_S, work.cancel)  # Not once it has begun.
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            if _is_cancelled(asyncio.current_task()):
                raise
            raise Unavailable("the database does not keep up", RETRY_AFTER_MS) from None
        finally:
            timer.cancel()

    def close(self) -> None:
        self.threads.shutdown(wait=True, cancel_futures=True)


def _is_cancelled(task: asyncio.Task[object] | None) -> bool:
    return task is not None and task.cancelling() > 0

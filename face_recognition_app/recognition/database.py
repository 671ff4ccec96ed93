"""Database calls from the event loop, on threads of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import close_old_connections

from ops.threads import StartedThreads

P = ParamSpec("P")
T = TypeVar("T")

DATABASE_THREADS = 4


def with_connection(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` on this thread with a database connection that is known to be good."""
    close_old_connections()
    try:
        return function(*args, **kwargs)
    finally:
        close_old_connections()


class DatabaseThreads:
    """Django's own helpers put every call of a process on one thread; here they run side by side."""

    def __init__(self) -> None:
        self.threads = StartedThreads(DATABASE_THREADS, "database")

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = partial(with_connection, function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self.threads, copy_context().run, call)

    def close(self) -> None:
        self.threads.shutdown(wait=True, cancel_futures=True)

"""Each thread's database connection, which another thread can close while it is idle."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

from django.db import close_old_connections, connections


class _OwnConnection:
    """One thread's connection, and a lock that the thread holds while it uses it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.connection = connections["default"]
        _connections.add(self)

    def close_if_unusable(self) -> None:
        """Close the connection if it is idle and unusable. Any thread may call this."""
        if not self.lock.acquire(blocking=False):
            return
        try:
            if self.connection.connection is not None and not self.connection.is_usable():
                self.connection.inc_thread_sharing()
                self.connection.close()
                self.connection.dec_thread_sharing()
        finally:
            self.lock.release()


class _ThreadConnection(threading.local):
    def __init__(self) -> None:
        self.own = _OwnConnection()


_connections: WeakSet[_OwnConnection] = WeakSet()
_this_thread = _ThreadConnection()


@contextmanager
def good_connection() -> Iterator[None]:
    """Test this thread's connection, or replace it, and let no other thread close it until the block ends."""
    with _this_thread.own.lock:
        close_old_connections()
        try:
            yield
        finally:
            close_old_connections()


def open_connections() -> int:
    """Number of connections that this process has now."""
    return sum(own.connection.connection is not None for own in tuple(_connections))


def close_moved_files() -> None:
    """Close idle connections to a SQLite file that is no longer at its path. Else its log would stay there, beside the
    file that replaces it."""
    for own in tuple(_connections):
        if own.connection.vendor == "sqlite":
            own.close_if_unusable()

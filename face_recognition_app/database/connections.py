"""Each thread's database connection, and how one that waits for work is closed from another thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

from django.db import close_old_connections, connections


class _Hold:
    """A thread's connection; the lock is held while the thread uses it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.connection = connections["default"]
        _holds.add(self)

    def close_if_unusable(self) -> None:
        """Whatever thread calls it; one in use is left to its own thread."""
        if not self.lock.acquire(blocking=False):
            return
        try:
            if self.connection.connection is not None and not self.connection.is_usable():
                self.connection.inc_thread_sharing()
                self.connection.close()
                self.connection.dec_thread_sharing()
        finally:
            self.lock.release()


class _ThreadHold(threading.local):
    def __init__(self) -> None:
        self.hold = _Hold()


_holds: WeakSet[_Hold] = WeakSet()
_this_thread = _ThreadHold()


@contextmanager
def good_connection() -> Iterator[None]:
    """This thread's connection is known to be good, or made anew, and stays the thread's own until the block ends."""
    with _this_thread.hold.lock:
        close_old_connections()
        try:
            yield
        finally:
            close_old_connections()


def close_moved_files() -> None:
    """Close what waits for work on a SQLite file that is no longer at its path: else its log would stay there, beside
    whatever file is put in its place."""
    for hold in tuple(_holds):
        if hold.connection.vendor == "sqlite":
            hold.close_if_unusable()

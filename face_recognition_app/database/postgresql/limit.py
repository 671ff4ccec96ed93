"""The limit of a process's connections to one database."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from django.db import OperationalError
from psycopg import Connection


class ConnectionLimit:
    """Lets as many connections be open as it is told. Those that were lost, or whose thread has ended, do not count."""

    def __init__(self) -> None:
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """With none, which a child process has after a fork."""
        self._changed = threading.Condition()
        self._open: WeakSet[Connection[Any]] = WeakSet()
        self._being_opened = 0

    def open(self, connect: Callable[[], Connection[Any]], most: int, patience_s: float) -> Connection[Any]:
        """Connect once fewer than `most` are open. Raises OperationalError when that takes longer than `patience_s`."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._number < most, patience_s):
                raise OperationalError(f"all {most} connections of this process are in use")
            self._being_opened += 1
        try:
            made = connect()
            self._open.add(made)
            return made
        finally:
            with self._changed:
                self._being_opened -= 1
                self._changed.notify_all()

    def note_closed(self) -> None:
        with self._changed:
            self._changed.notify_all()

    @property
    def _number(self) -> int:
        return self._being_opened + sum(not one.closed for one in tuple(self._open))

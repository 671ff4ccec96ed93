"""A worker that has grown too large is replaced, and nobody whose session it holds is cut off.

It takes no new sockets while a sibling can, serves those it has until they end, and then ends itself; Gunicorn starts
another. Sessions have time limits, so that takes minutes at most, or an hour for a sandbox. A worker that is alone goes
on taking sockets, and ends when it has been without any for a moment.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from contextlib import ExitStack
from pathlib import Path

from ops.memory import memory_bytes
from server.siblings import Siblings

logger = logging.getLogger(__name__)

LINGER_S = 2.0
"""Without a socket, before a worker ends: so long one may still be on its way to it."""
ONE_IN_S = 60.0
"""Workers retire one at a time and not more often: a bound that every new worker passes must not stop the service."""


class Retirement:
    """Of this worker, once it uses more than `limit_bytes`; None is no limit."""

    def __init__(self, run_dir: Path, limit_bytes: int | None, siblings: Siblings, linger_s: float = LINGER_S) -> None:
        self._path = run_dir / "retiring"
        self._limit_bytes = limit_bytes
        self._siblings = siblings
        self._linger_s = linger_s
        self._turn: int | None = None

    @property
    def is_over(self) -> bool:
        """The worker has retired and nobody needs it any more."""
        quiet_s = self._siblings.quiet_s
        return self._turn is not None and quiet_s is not None and quiet_s >= self._linger_s

    def consider(self) -> None:
        """Retire if the worker is too large and no other one retires."""
        if self._limit_bytes is None or self._turn is not None:
            return
        try:
            used = memory_bytes(os.getpid())
            if used <= self._limit_bytes or not self._takes_turn():
                return
        except OSError:
            logger.exception("whether this worker has grown too large cannot be told now")
            return
        self._siblings.retire()
        logger.warning(
            "this worker uses %d MB of memory, more than the %d MB of FACE_WORKER_MAX_MEMORY_MB: another one takes its"
            " place when its %d sockets have ended",
            used >> 20,
            self._limit_bytes >> 20,
            self._siblings.open,
        )

    def _takes_turn(self) -> bool:
        """The lock is held as long as the process lives, and the file is as old as the last retirement."""
        with ExitStack() as undo:
            turn = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            undo.callback(os.close, turn)
            try:
                fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            last = os.fstat(turn)
            if last.st_size and time.time() - last.st_mtime < ONE_IN_S:
                return False
            os.pwrite(turn, f"{os.getpid()}\n".encode(), 0)
            undo.pop_all()
        self._turn = turn
        return True

"""Replacement of a worker that uses too much memory."""

from __future__ import annotations

import logging
import os
import time

from config.processes.memory import private_bytes
from server.graceful_exit import GracefulExit
from server.roster import EndReason, Slot, Stage

logger = logging.getLogger(__name__)

RECYCLE_INTERVAL_MS = 60_000
"""Least time between two replacements: a limit that every new worker exceeds must not stop the service."""


class MemoryRecycler:
    """Ends the worker in `slot` once its private memory exceeds `limit_bytes`; None is no limit."""

    def __init__(self, slot: Slot, limit_bytes: int | None, graceful_exit: GracefulExit) -> None:
        self._slot = slot
        self._limit_bytes = limit_bytes
        self._exit = graceful_exit

    def check(self) -> None:
        """Ask this worker to leave if it is too large, and no other leaves or was replaced just now."""
        if self._limit_bytes is None or self._slot.stage is not Stage.READY:
            return
        try:
            used = private_bytes(os.getpid())
        except OSError:
            logger.exception("the memory of this worker cannot be read now")
            return
        if used > self._limit_bytes and self._may_recycle():
            self._slot.roster.recycled_at_ms = _now_ms()
            megabytes = f"{used >> 20} MB of memory, more than the {self._limit_bytes >> 20} MB"
            logger.warning("this worker uses %s of FACE_WORKER_MAX_MEMORY_MB: another one takes its place", megabytes)
            self._exit.request("it uses too much memory", EndReason.MEMORY)

    def _may_recycle(self) -> bool:
        roster = self._slot.roster
        last = roster.recycled_at_ms
        return not roster.count(Stage.LEAVING) and (not last or _now_ms() - last >= RECYCLE_INTERVAL_MS)


def _now_ms() -> int:
    return int(time.monotonic() * 1000)

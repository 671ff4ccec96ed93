"""How a worker ends: one way for a reload, fewer workers, too much memory, a signal, and the end of the master.

A worker that is asked to leave serves until as many others are ready as the master wants, or as many younger ones wait
for that, too; if none is starting, it asks the master for one. Then it drains: it accepts no new connections, and open
ones have `drain_s` to finish.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import time

from server.roster import EndReason, Request, Slot, Stage

logger = logging.getLogger(__name__)

SHUTDOWN_S = 15
"""Time for requests that are still in work after the drain."""
END_S = 10
"""Time that the master needs beside that: to kill who has not ended, and to wait for the job worker."""
REPLACEMENT_DELAY_S = 0.5
"""Wait before a replacement is requested: on a reload the master starts new workers, then signals the old ones."""


def graceful_timeout_s(drain_s: float) -> int:
    """How long the master waits for its workers when it ends: the drain, then requests that are still in work."""
    return math.ceil(drain_s) + SHUTDOWN_S + 10


def stop_timeout_s(drain_s: float) -> int:
    """How long whoever has told the service to end waits before it kills what is left."""
    return graceful_timeout_s(drain_s) + END_S


class GracefulExit:
    """The end of the worker in `slot`. A signal handler may call `request`, at any time and any number of times."""

    def __init__(self, slot: Slot, master_pid: int, drain_s: float) -> None:
        self._slot = slot
        self._master_pid = master_pid
        self._drain_s = drain_s
        self._reason = ""
        self._none_starting_since: float | None = None
        self._draining_since = 0.0

    @property
    def stage(self) -> Stage:
        return self._slot.stage

    @property
    def draining_s(self) -> float:
        """Seconds since the worker began to drain."""
        return time.monotonic() - self._draining_since

    @property
    def is_overdue(self) -> bool:
        return self.stage is Stage.DRAINING and self.draining_s > self._drain_s

    def started(self) -> None:
        """Mark the worker as serving: until it is replaced, if it was asked to leave during its start."""
        self._slot.stage = Stage.LEAVING if self._reason else Stage.READY
        self._slot.roster.note_ready()

    def request(self, reason: str = "it was asked to", why: EndReason = EndReason.ASKED) -> None:
        """Have the worker leave; only the first reason counts."""
        if not self._reason:
            self._reason = reason
            self.note(why)

    def note(self, why: EndReason) -> None:
        """Have the metrics say why this worker ends."""
        self._slot.reason = why

    def advance(self) -> None:
        """Take the next step if it is due."""
        if self.stage is Stage.READY and (self._reason or self._is_service_ending):
            self._slot.stage = Stage.LEAVING
            logger.info("this worker ends when it is replaced: %s", self._reason or "the service ends")
        if self.stage is Stage.LEAVING:
            if self._is_service_ending or self._slot.is_dispensable:
                self._slot.stage = Stage.DRAINING
                self._draining_since = time.monotonic()
            else:
                self._request_replacement()

    @property
    def _is_service_ending(self) -> bool:
        """Whether no worker is started any more: the master ends, or has died."""
        return self._slot.roster.is_stopping or os.getppid() != self._master_pid

    def _request_replacement(self) -> None:
        """Ask the master for another worker, if none is starting."""
        if self._slot.request is not Request.NONE or self._slot.roster.count(Stage.STARTING):
            self._none_starting_since = None
            return
        self._none_starting_since = self._none_starting_since or time.monotonic()
        if time.monotonic() - self._none_starting_since > REPLACEMENT_DELAY_S:
            self._slot.request = Request.MADE
            os.kill(self._master_pid, signal.SIGTTIN)

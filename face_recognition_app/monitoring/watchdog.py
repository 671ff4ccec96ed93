"""Work that does not end: it is logged, counted, and ends the process when no compute thread is left.

Nothing can interrupt a thread that is in C code, and Python waits for all of its threads before it exits. So a process
whose compute threads are all stuck is ended by SIGALRM, and its supervisor starts another.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scheduling.threads import StartedThreads, Work

logger = logging.getLogger(__name__)

CHECK_INTERVAL_S = 0.25
CHECKS_BEFORE_END = 8
"""Checks in a row that must find every compute thread stuck. A process that was paused makes none meanwhile, so its
threads have this time to go on with work that only seems to have taken long."""
ALARM_AFTER_S = 5.0
"""Time between the signal to end and SIGALRM: for `busy` to waiting work, and notices to open sockets."""


@dataclass(frozen=True, slots=True)
class WorkState:
    """`stuck`: number of stuck compute threads. `oldest_began`: monotonic seconds, None without work."""

    stuck: int
    oldest_began: float | None

    def oldest_ms(self, now: float) -> int:
        """Age of the oldest work. Right for another process's state too: they share the system's monotonic clock."""
        return 0 if self.oldest_began is None else max(0, int(1000 * (now - self.oldest_began)))


def work_state(threads: StartedThreads, limit_s: float) -> WorkState:
    now, in_hand = time.monotonic(), threads.in_hand()
    return WorkState(
        stuck=sum(work.age_s(now) > limit_s for work in in_hand),
        oldest_began=min((work.began for work in in_hand), default=None),
    )


def all_stuck(threads: StartedThreads, limit_s: float) -> bool:
    return work_state(threads, limit_s).stuck >= threads.size


def end_this_process() -> None:
    """Signal this process to end without a replacement; SIGALRM ends it after ALARM_AFTER_S whatever its threads do."""
    signal.setitimer(signal.ITIMER_REAL, ALARM_AFTER_S)
    os.kill(os.getpid(), signal.SIGINT)


class Watchdog:
    """Watches the compute threads and `others`. Calls `end` once: when work on every compute thread is older than
    `limit_s`, and none of it waits for the database, since another process would wait for the same one."""

    def __init__(
        self, compute: StartedThreads, others: Sequence[StartedThreads], limit_s: float, end: Callable[[], None]
    ) -> None:
        self._compute = compute
        self._pools = (compute, *others)
        self._limit_s = limit_s
        self._end = end
        self._logged: set[Work] = set()
        self._hopeless_checks = 0

    def check(self) -> None:
        """Call it every CHECK_INTERVAL_S."""
        now = time.monotonic()
        for work in [work for work in self._logged if work.ended is not None]:
            self._logged.remove(work)
            logger.warning("no longer stuck: %s ended after %.1f s", _named(work), work.age_s(now))
        for pool in self._pools:
            for work in pool.in_hand():
                if work.age_s(now) > self._limit_s and work not in self._logged:
                    self._logged.add(work)
                    logger.warning("stuck: %s takes %.1f s so far\n%s", _named(work), work.age_s(now), _stack(work))
        self._hopeless_checks = self._hopeless_checks + 1 if self._no_thread_left() else 0
        if self._hopeless_checks == CHECKS_BEFORE_END:
            logger.critical("all %d threads that compute are stuck: this worker ends", self._compute.size)
            self._end()

    def _no_thread_left(self) -> bool:
        if not all_stuck(self._compute, self._limit_s):
            return False
        return not any(_waits_for_database(work) for work in self._compute.in_hand())


def _named(work: Work) -> str:
    return f"{work.about or 'a call'} on thread {work.thread}"


def _stack(work: Work) -> str:
    """The stack of the thread now, in text."""
    frame = sys._current_frames().get(work.thread_id)
    return "" if frame is None else "".join(traceback.format_stack(frame)).rstrip()


def _waits_for_database(work: Work) -> bool:
    frame = sys._current_frames().get(work.thread_id)
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith("django.db."):
            return True
        frame = frame.f_back
    return False

"""The number of frames a second that a worker can take now, and the share of each of its sessions."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

FIRST_GUESS_S = 0.05
"""Service time before the first frame."""
NEWEST_WEIGHT = 0.05
"""Weight of the newest frame in the mean service time, which spans some twenty frames."""
ACTIVE_S = 1.0
"""A session is active that sent a frame in this period or the one before."""
USED = 0.85
"""Share of the capacity that all sessions together are asked to use; the rest takes bursts."""


@dataclass(frozen=True, slots=True)
class PacerStatistics:
    """`service_s`: mean time of a frame on its thread. `active`: sessions that send frames."""

    service_s: float
    active: int


class Pacer:
    """Measures the service time of frames, and counts the sessions that send some."""

    def __init__(self, threads: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._threads = threads
        self._clock = clock
        self._service_s = FIRST_GUESS_S
        self._period_began = clock()
        self._now: set[Hashable] = set()
        self._before: set[Hashable] = set()

    def served(self, seconds: float) -> None:
        """Count the time that one frame took on its thread."""
        self._service_s += NEWEST_WEIGHT * (seconds - self._service_s)

    def wait_s(self, ahead: int) -> float:
        """The expected wait of a frame with `ahead` others before it."""
        return ahead * self._service_s / self._threads

    def target_fps(self, at_most: int) -> int:
        """Frames a second that each session may send now; at least 1."""
        active = max(self.statistics().active, 1)
        return max(1, min(at_most, int(USED * self._threads / self._service_s / active)))

    def heard_from(self, session: Hashable) -> None:
        """Note that a session has sent a frame."""
        passed_s = self._clock() - self._period_began
        if passed_s >= ACTIVE_S:
            self._before = self._now if passed_s < 2 * ACTIVE_S else set()
            self._now = set()
            self._period_began += passed_s
        self._now.add(session)

    def statistics(self) -> PacerStatistics:
        return PacerStatistics(self._service_s, max(len(self._now), len(self._before)))

"""How many frames a second a worker can take now, and what that leaves for each of its sessions."""

from __future__ import annotations

import time
from collections.abc import Hashable

FIRST_GUESS_S = 0.05
_WEIGHT = 0.05
"""Of the newest frame in the mean service time: some twenty frames are remembered."""
ACTIVE_S = 1.0
"""A session counts as active that sent a frame in this or the stretch before."""
USED = 0.85
"""Of the capacity, which sessions are asked to use together: what is left takes the bursts."""


class Pacer:
    """Measures the service time of frames, and counts the sessions that send some."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._service_s = FIRST_GUESS_S
        self._began_s = time.monotonic()
        self._now: set[Hashable] = set()
        self._before: set[Hashable] = set()

    def served(self, seconds: float) -> None:
        """A frame took so long on its thread."""
        self._service_s += _WEIGHT * (seconds - self._service_s)

    def wait_s(self, ahead: int) -> float:
        """How long a frame waits that so many others are ahead of."""
        return ahead * self._service_s / self._threads

    def target_fps(self, at_most: int) -> int:
        """Frames a second that each session may send now; at least 1."""
        active = max(len(self._now), len(self._before), 1)
        return max(1, min(at_most, int(USED * self._threads / self._service_s / active)))

    def heard_from(self, session: Hashable) -> None:
        """A session has sent a frame."""
        passed_s = time.monotonic() - self._began_s
        if passed_s >= ACTIVE_S:
            self._before = self._now if passed_s < 2 * ACTIVE_S else set()
            self._now = set()
            self._began_s += passed_s
        self._now.add(session)

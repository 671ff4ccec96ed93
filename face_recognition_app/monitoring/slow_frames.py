"""Frames that took too long: their stages, in the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from core.stages import StageTimes
from logs.formats import FIGURES

logger = logging.getLogger(__name__)

LINE_INTERVAL_S = 10.0
"""Least time between two lines: under overload every frame is slow."""


class SlowFrames:
    """Logs a frame that took `limit_ms` or longer; 0: none. The line tells how many there were since the last one."""

    def __init__(self, limit_ms: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_ms / 1000
        self._clock = clock
        self._told_at = float("-inf")
        self._untold = 0

    def look(self, took_s: float, times: StageTimes) -> None:
        if not self._limit_s or took_s < self._limit_s:
            return
        self._untold += 1
        now = self._clock()
        if now - self._told_at < LINE_INTERVAL_S:
            return
        figures = {"frame_ms": round(1000 * took_s), "stages_ms": times.in_ms(), "slow_frames": self._untold}
        self._told_at, self._untold = now, 0
        logger.warning("slow frame", extra={FIGURES: figures})

"""Pace of the frames: whether enough arrive to see a blink or a movement."""

from __future__ import annotations

from dataclasses import dataclass

from core.liveness import limits


@dataclass(slots=True)
class Pace:
    """Times between the frames of a session, in milliseconds. `slow_ms`: sum of those longer than SLOW_GAP_MS."""

    last_ms: int | None = None
    total_ms: int = 0
    slow_ms: int = 0
    recent_gap_ms: float = 0.0

    @property
    def too_slow(self) -> bool:
        """Whether gaps longer than SLOW_GAP_MS make up most of the time; False before PACE_KNOWN_MS."""
        return self.total_ms >= limits.PACE_KNOWN_MS and 2 * self.slow_ms > self.total_ms

    @property
    def is_slow_now(self) -> bool:
        return self.recent_gap_ms > limits.SLOW_GAP_MS

    @property
    def progress(self) -> bool:
        return self.too_slow

    def observe(self, at_ms: int) -> None:
        if self.last_ms is not None:
            gap_ms = at_ms - self.last_ms
            self.total_ms += gap_ms
            self.slow_ms += gap_ms if gap_ms > limits.SLOW_GAP_MS else 0
            newest_ms = min(gap_ms, limits.LONGEST_GAP_MS)
            self.recent_gap_ms += limits.NEWEST_GAP_WEIGHT * (newest_ms - self.recent_gap_ms)
        self.last_ms = at_ms

"""Pace of the frames: whether enough arrive to see a blink or a movement."""

from __future__ import annotations

from dataclasses import dataclass

from core.liveness import limits


@dataclass(slots=True)
class Pace:
    """Times between the frames of a session, in milliseconds.

    `slow_ms`: sum of those longer than SLOW_GAP_MS that were the sender's.
    """

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

    def allows(self, frames: int) -> bool:
        """Whether so many frames were enough, in the time that they took, to see blinks and movements."""
        return frames * limits.SLOW_GAP_MS >= self.total_ms

    @property
    def progress(self) -> bool:
        return self.too_slow

    def observe(self, at_ms: int, late_ms: int | None = None) -> None:
        """`late_ms`: how much later the frame came than the service could take it; None where nobody knows.

        A gap is the sender's unless the service took most of it.
        """
        if self.last_ms is not None:
            gap_ms = at_ms - self.last_ms
            self.total_ms += gap_ms
            if late_ms is not None and 2 * late_ms < gap_ms:
                gap_ms = min(gap_ms, limits.SLOW_GAP_MS)
            self.slow_ms += gap_ms if gap_ms > limits.SLOW_GAP_MS else 0
            newest_ms = min(gap_ms, limits.LONGEST_GAP_MS)
            self.recent_gap_ms += limits.NEWEST_GAP_WEIGHT * (newest_ms - self.recent_gap_ms)
        self.last_ms = at_ms

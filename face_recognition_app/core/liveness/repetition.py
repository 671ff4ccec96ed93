"""Detection of repetition: a replayed recording repeats its motion, and a held picture does not move at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from core.liveness import limits
from core.liveness.observation import FaceReading

Motion: TypeAlias = tuple[float, ...]
Track = npt.NDArray[np.float64]
"""(frames, measures), each measure in units of the mesh's error from frame to frame."""


@dataclass(slots=True)
class Repetition:
    """`alike`: smallest difference of two stretches so far, over their own motion. `stillness`: smallest motion of
    LONG_STILL readings so far. `failure`: reason code, once there is one."""

    track: list[Motion] = field(default_factory=list)
    times_ms: list[int] = field(default_factory=list)
    alike: float | None = None
    stillness: float | None = None
    failure: str | None = None

    def observe(self, reading: FaceReading) -> None:
        self.track = [*self.track, _motion(reading)][-limits.REPETITION_WINDOW :]
        self.times_ms = [*self.times_ms, reading.at_ms][-limits.REPETITION_WINDOW :]
        track = np.array(self.track)
        forward = difference(track, limits.FORWARD_READINGS, reverse=False)
        backward = difference(track, limits.BACKWARD_READINGS, reverse=True)
        still = stillness(track[self._long_ago() :])
        self.alike = _smaller(self.alike, min(forward, backward))
        self.stillness = _smaller(self.stillness, still)
        if self.failure is None and still <= limits.STILL:
            self.failure = "stream_frozen"
        if self.failure is None and (forward <= limits.FORWARD_ALIKE or backward <= limits.BACKWARD_ALIKE):
            self.failure = "stream_repeated"

    @property
    def progress(self) -> str | None:
        return self.failure

    def _long_ago(self) -> int:
        """Index of the first reading of the shortest stretch to measure stillness over; past the end without one."""
        now = self.times_ms[-1]
        recent = sum(now - at < limits.LONG_STILL_MS for at in self.times_ms) + 1
        return -max(recent, limits.LONG_STILL) if recent <= len(self.times_ms) else len(self.times_ms)


def _motion(reading: FaceReading) -> Motion:
    return (
        reading.yaw / 1.0,
        reading.pitch / 1.0,
        reading.x / reading.size / 0.01,
        reading.y / reading.size / 0.01,
        reading.mouth_opening / 0.02,
        reading.mouth_width / 0.01,
        reading.eye_opening / 0.03,
        reading.smile / 0.05,
    )


def difference(track: Track, length: int, *, reverse: bool) -> float:
    """Smallest difference of the newest `length` readings from as many earlier ones, or from those backwards.

    Root mean square difference over the newest stretch's own deviation; infinite when too little moves in that
    stretch to distinguish it from another.
    """
    if len(track) < 2 * length:
        return float("inf")
    newest = track[-length:]
    deviation = float(np.sqrt(((newest - newest.mean(axis=0)) ** 2).mean()))
    if deviation < limits.MOVING:
        return float("inf")
    earlier = np.lib.stride_tricks.sliding_window_view(track[:-length], length, axis=0)
    looked_for = newest[::-1] if reverse else newest
    off = np.sqrt(((earlier - looked_for.T) ** 2).mean(axis=(1, 2)))
    return float(off.min() / deviation)


def stillness(track: Track) -> float:
    """Average range of the measures; infinite for fewer than LONG_STILL readings."""
    if len(track) < limits.LONG_STILL:
        return float("inf")
    high, low = np.percentile(track, [90, 10], axis=0)
    return float((high - low).mean())


def _smaller(known: float | None, found: float) -> float | None:
    if not np.isfinite(found):
        return known
    return round(found if known is None else min(known, found), 3)

"""Evidence that a face lives, each a small machine over readings.

The limits stand where still photographs and living people part. Measured: 66 photographs held still,
slid, turned in the plane, tilted to 35 degrees, blurred and shaken, 40 to 60 frames each, against the
1.5-second windows of 13 clips of 12 people; the figures are beside each limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from core.liveness.observation import FaceReading

FRONTAL_DEG = 20.0
"""Beyond this yaw or pitch lids and lips cannot be measured."""
STEADY_DEG = 6.0
"""Readings are compared only within this much of their median pose: a tilted photograph seems to move its mouth."""
SHARP_SHARE = 0.8
"""...and only when at least this sharp against their median: motion blur seems to close eyes."""
SHARPEST_SHARE = 0.7
"""A mouth also against the third sharpest: of a photograph that is shaken most of the time the median is blurred, and
blur along the face seems to close the lips."""

BLINK_RISE = 0.28
"""Coefficient above the open eye's. Blinks in clips: 0.31 and more; sharp photographs: 0.17 at most."""
BLINK_NARROWING = 0.62
"""Lid opening against the open eye's. Blinks: 0.51 and less; sharp photographs: 0.76 at least."""
BLINK_REOPENED = 0.8
BLINK_MAX_MS = 1_000
OPEN_WINDOW = 20
MIN_OPEN_READINGS = 3

MOUTH_RANGE = 0.14
"""Third largest minus third smallest opening. Talking people: 0.15 and more; of 40 photographs tilted to 35 degrees
the worst reached 0.13, held upright 0.06."""
MOUTH_CLOSED_SHARE = 0.5
"""The smallest against the largest: a photographed open mouth seems to open wider when tilted, but does not close."""
MOUTH_TURNS = 2
"""Changes between open and closed: speech goes to and fro, a slowly tilted photograph does not."""
MOUTH_WIDE_RANGE = 0.20
"""A range at which one change is enough; half as much again as any sharp photograph reached."""
MOUTH_WINDOW = 40
MOUTH_WINDOW_MS = 4_000
MIN_MOUTH_READINGS = 8

LIVE_SCORE = 0.5
MIN_SCORES = 3
MIN_SCORES_TO_REFUSE = 6


@dataclass(slots=True)
class BlinkCue:
    """Eyes that were open, closed, and open again within a second."""

    seen: bool = False
    open_readings: list[FaceReading] = field(default_factory=list)
    closed_at_ms: int | None = None

    def observe(self, reading: FaceReading) -> None:
        if len(self.open_readings) < MIN_OPEN_READINGS or not _comparable(reading, self.open_readings):
            self._remember_open(reading)
            return
        open_blink = median(r.blink for r in self.open_readings)
        open_eye = median(r.eye_opening for r in self.open_readings)
        narrowing = reading.eye_opening / open_eye
        if reading.blink >= open_blink + BLINK_RISE and narrowing <= BLINK_NARROWING:
            if self.closed_at_ms is None:
                self.closed_at_ms = reading.at_ms
        elif narrowing >= BLINK_REOPENED:
            if self.closed_at_ms is not None:
                self.seen = self.seen or reading.at_ms - self.closed_at_ms <= BLINK_MAX_MS
                self.closed_at_ms = None
            self._remember_open(reading)

    def _remember_open(self, reading: FaceReading) -> None:
        self.open_readings = [*self.open_readings, reading][-OPEN_WINDOW:]


@dataclass(slots=True)
class MouthCue:
    """A mouth that opens and closes while the head stays as it is."""

    seen: bool = False
    readings: list[FaceReading] = field(default_factory=list)

    def observe(self, reading: FaceReading) -> None:
        recent = [r for r in self.readings if reading.at_ms - r.at_ms <= MOUTH_WINDOW_MS]
        self.readings = [*recent, reading][-MOUTH_WINDOW:]
        self.seen = self.seen or _speaks([r.mouth_opening for r in _comparable_among(self.readings)])


@dataclass(slots=True)
class SpoofCue:
    """The anti-spoof network's answers over several frames."""

    scores: list[float] = field(default_factory=list)

    def observe(self, reading: FaceReading) -> None:
        if reading.live_score is not None:
            self.scores.append(reading.live_score)

    @property
    def passed(self) -> bool:
        return len(self.scores) >= MIN_SCORES and median(self.scores) >= LIVE_SCORE

    @property
    def refused(self) -> bool:
        return len(self.scores) >= MIN_SCORES_TO_REFUSE and median(self.scores) < LIVE_SCORE


def _speaks(openings: Sequence[float]) -> bool:
    if len(openings) < MIN_MOUTH_READINGS:
        return False
    ordered = sorted(openings)
    smallest, largest = ordered[2], ordered[-3]
    margin = (largest - smallest) / 4
    if largest - smallest < MOUTH_RANGE or smallest > MOUTH_CLOSED_SHARE * largest:
        return False
    ends = [x >= largest - margin for x in openings if not smallest + margin < x < largest - margin]
    turns = sum(a != b for a, b in pairwise(ends))
    return turns >= (1 if largest - smallest >= MOUTH_WIDE_RANGE else MOUTH_TURNS)


def _comparable(reading: FaceReading, others: Sequence[FaceReading]) -> bool:
    return (
        max(abs(reading.yaw), abs(reading.pitch)) <= FRONTAL_DEG
        and abs(reading.yaw - median(r.yaw for r in others)) <= STEADY_DEG
        and abs(reading.pitch - median(r.pitch for r in others)) <= STEADY_DEG
        and reading.sharpness >= SHARP_SHARE * median(r.sharpness for r in others)
    )


def _comparable_among(readings: Sequence[FaceReading]) -> list[FaceReading]:
    third_sharpest = sorted((r.sharpness for r in readings), reverse=True)[:3][-1]
    return [r for r in readings if _comparable(r, readings) and r.sharpness >= SHARPEST_SHARE * third_sharpest]

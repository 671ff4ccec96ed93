"""Cues over readings of a face: blinking, speaking, anti-spoof scores and moire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median, quantiles
from typing import Self

from core.liveness import limits
from core.liveness.observation import FaceReading


@dataclass(slots=True)
class BlinkCue:
    """Blinks: eyes that were open, closed, and open again within a second. `count`: blinks so far."""

    count: int = 0
    open_readings: list[FaceReading] = field(default_factory=list)
    closed_at_ms: int | None = None

    def observe(self, reading: FaceReading) -> None:
        known = len(self.open_readings) >= limits.MIN_OPEN_READINGS
        if not known or not _Typical.of(self.open_readings).is_like(reading, limits.BLINK_SHARP_SHARE):
            self._remember_open(reading)
            return
        open_blink = median(r.blink for r in self.open_readings)
        open_eye = median(r.eye_opening for r in self.open_readings)
        narrowing = reading.eye_opening / open_eye
        closed = reading.blink >= open_blink + limits.BLINK_RISE and narrowing <= limits.BLINK_NARROWING
        if self.closed_at_ms is None:
            if closed:
                self.closed_at_ms = reading.at_ms
            else:
                self._remember_open(reading)
        elif reading.at_ms - self.closed_at_ms > limits.BLINK_MAX_MS:
            self._restart(reading)
        elif narrowing >= limits.BLINK_REOPENED:
            self.count += 1
            self.closed_at_ms = None
            self._remember_open(reading)

    @property
    def seen(self) -> bool:
        return self.count > 0

    @property
    def progress(self) -> bool:
        return self.seen

    def may_change(self, reading: FaceReading) -> bool:
        """Whether this reading may begin or end a blink: its eyes are narrowed, or were closed before."""
        if self.closed_at_ms is not None or len(self.open_readings) < limits.MIN_OPEN_READINGS:
            return True
        return reading.eye_opening < limits.BLINK_REOPENED * median(r.eye_opening for r in self.open_readings)

    def _remember_open(self, reading: FaceReading) -> None:
        self.open_readings = [*self.open_readings, reading][-limits.OPEN_WINDOW :]

    def _restart(self, reading: FaceReading) -> None:
        """Forget the open eyes and begin with this reading: eyes closed for longer than a blink are narrow eyes."""
        self.closed_at_ms, self.open_readings = None, [reading]


@dataclass(slots=True)
class MouthCue:
    """Speech: a mouth that opens and closes while the head is steady."""

    seen: bool = False
    readings: list[FaceReading] = field(default_factory=list)

    def observe(self, reading: FaceReading) -> None:
        recent = [r for r in self.readings if reading.at_ms - r.at_ms <= limits.MOUTH_WINDOW_MS]
        self.readings = [*recent, reading][-limits.MOUTH_WINDOW :]
        self.seen = self.seen or _speaks([r.mouth_opening for r in _comparable(self.readings)])

    @property
    def progress(self) -> bool:
        return self.seen


@dataclass(slots=True)
class SpoofCue:
    """Median of the anti-spoof network's scores over several frames."""

    scores: list[float] = field(default_factory=list)

    def observe(self, reading: FaceReading) -> None:
        if reading.live_score is not None:
            self.scores.append(reading.live_score)

    @property
    def progress(self) -> int:
        """What speaks against the person."""
        return sum(score < limits.LIVE_SCORE for score in self.scores)

    @property
    def passed(self) -> bool:
        return len(self.scores) >= limits.MIN_SCORES and median(self.scores) >= limits.LIVE_SCORE

    @property
    def refused(self) -> bool:
        return len(self.scores) >= limits.MIN_SCORES_TO_REFUSE and self.doubtful

    @property
    def doubtful(self) -> bool:
        return bool(self.scores) and median(self.scores) < limits.LIVE_SCORE


@dataclass(slots=True)
class MoireCue:
    """Moire, which a display shows in the face. It comes and goes as the display moves, so a quarter of the frames
    decides."""

    peaks: list[float] = field(default_factory=list)

    def observe(self, reading: FaceReading) -> None:
        if reading.moire is not None:
            self.peaks.append(reading.moire)

    @property
    def progress(self) -> int:
        """What speaks against the person."""
        return sum(peak >= limits.MOIRE for peak in self.peaks)

    @property
    def passed(self) -> bool:
        return len(self.peaks) >= limits.MIN_MOIRES and not self.doubtful

    @property
    def refused(self) -> bool:
        return len(self.peaks) >= limits.MIN_MOIRES_TO_REFUSE and self.doubtful

    @property
    def height(self) -> float | None:
        """Upper quartile of the peaks: a quarter of the frames exceed it. None before the second frame."""
        return round(quantiles(self.peaks, n=4, method="inclusive")[2], 4) if len(self.peaks) > 1 else None

    @property
    def doubtful(self) -> bool:
        return (self.height or 0.0) >= limits.MOIRE


def _speaks(openings: Sequence[float]) -> bool:
    if len(openings) < limits.MIN_MOUTH_READINGS:
        return False
    ordered = sorted(openings)
    smallest, largest = ordered[2], ordered[-3]
    margin = (largest - smallest) / 4
    if largest - smallest < limits.MOUTH_RANGE or smallest > limits.MOUTH_CLOSED_SHARE * largest:
        return False
    ends = [x >= largest - margin for x in openings if not smallest + margin < x < largest - margin]
    turns = sum(a != b for a, b in pairwise(ends))
    return turns >= (1 if largest - smallest >= limits.MOUTH_WIDE_RANGE else limits.MOUTH_TURNS)


@dataclass(frozen=True, slots=True)
class _Typical:
    """Median pose and sharpness of several readings."""

    yaw: float
    pitch: float
    sharpness: float

    @classmethod
    def of(cls, readings: Sequence[FaceReading]) -> Self:
        return cls(
            median(r.yaw for r in readings), median(r.pitch for r in readings), median(r.sharpness for r in readings)
        )

    def is_like(self, reading: FaceReading, sharp_share: float) -> bool:
        return (
            max(abs(reading.yaw), abs(reading.pitch)) <= limits.FRONTAL_DEG
            and abs(reading.yaw - self.yaw) <= limits.STEADY_DEG
            and abs(reading.pitch - self.pitch) <= limits.STEADY_DEG
            and reading.sharpness >= sharp_share * self.sharpness
        )


def _comparable(readings: Sequence[FaceReading]) -> list[FaceReading]:
    third_sharpest = sorted((r.sharpness for r in readings), reverse=True)[:3][-1]
    typical = _Typical.of(readings)
    sharp = [r for r in readings if r.sharpness >= limits.SHARPEST_SHARE * third_sharpest]
    return [r for r in sharp if typical.is_like(r, limits.SHARP_SHARE)]

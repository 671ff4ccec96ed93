"""Cues over readings of a face: blinking, speaking, anti-spoof scores and moire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress, pairwise
from statistics import median, quantiles

from core.liveness import limits
from core.liveness.cues.poses import in_commonest_pose, is_near
from core.liveness.observation import FaceReading


@dataclass(slots=True)
class BlinkCue:
    """Blinks: eyes that were open, closed, and open again within a second. `count`: blinks so far."""

    count: int = 0
    open_readings: list[FaceReading] = field(default_factory=list)
    closed_at_ms: int | None = None

    def observe(self, reading: FaceReading) -> None:
        alike = [r for r in self.open_readings if is_near(r.facing, reading.facing)]
        if len(alike) < limits.MIN_OPEN_READINGS or not _is_clear(reading, alike, limits.BLINK_SHARP_SHARE):
            self._remember_open(reading)
            return
        open_blink = median(r.blink for r in alike)
        open_eye = median(r.eye_opening for r in alike)
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
class TurnCue:
    """A head that turns far to both sides, as a flat picture never seems to. `left` and `right`: readings in a row that
    show it, up to TURNED_READINGS."""

    left: int = 0
    right: int = 0

    def observe(self, reading: FaceReading) -> None:
        self.left = _in_a_row(self.left, reading.yaw >= limits.TURNED_FAR_DEG)
        self.right = _in_a_row(self.right, reading.yaw <= -limits.TURNED_FAR_DEG)

    @property
    def seen(self) -> bool:
        return min(self.left, self.right) >= limits.TURNED_READINGS

    @property
    def progress(self) -> bool:
        return self.seen


@dataclass(slots=True)
class SpoofCue:
    """Median of the anti-spoof scores over several frames. `limit`: the least that passes."""

    limit: float = 0.5
    scores: list[float] = field(default_factory=list)

    def observe(self, reading: FaceReading, limit: float) -> None:
        if reading.live_score is not None:
            self.scores.append(reading.live_score)
            self.limit = limit

    @property
    def progress(self) -> int:
        """What speaks against the person."""
        return sum(score < self.limit for score in self.scores)

    @property
    def passed(self) -> bool:
        return len(self.scores) >= limits.MIN_SCORES and median(self.scores) >= self.limit

    @property
    def refused(self) -> bool:
        return len(self.scores) >= limits.MIN_SCORES_TO_REFUSE and self.doubtful

    @property
    def doubtful(self) -> bool:
        return bool(self.scores) and median(self.scores) < self.limit


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


def _in_a_row(before: int, shown: bool) -> int:
    """Readings in a row after one more; once there were enough, they stay."""
    return before if before >= limits.TURNED_READINGS else before + 1 if shown else 0


def _speaks(openings: Sequence[float]) -> bool:
    if len(openings) < limits.MIN_MOUTH_READINGS:
        return False
    ordered = sorted(openings)
    smallest, largest = ordered[2], ordered[-3]
    margin = (largest - smallest) / 4
    if largest - smallest < limits.MOUTH_RANGE:
        return False
    if smallest > limits.MOUTH_CLOSED_SHARE * largest and largest - smallest < limits.MOUTH_EXTREME_RANGE:
        return False
    ends = [x >= largest - margin for x in openings if not smallest + margin < x < largest - margin]
    turns = sum(a != b for a, b in pairwise(ends))
    return turns >= (1 if largest - smallest >= limits.MOUTH_WIDE_RANGE else limits.MOUTH_TURNS)


def _is_clear(reading: FaceReading, others: Sequence[FaceReading], sharp_share: float) -> bool:
    """Whether lids and lips of a reading can be measured: seen from the front, and sharp beside `others`."""
    return _is_frontal(reading) and reading.sharpness >= sharp_share * median(r.sharpness for r in others)


def _is_frontal(reading: FaceReading) -> bool:
    return max(abs(reading.yaw), abs(reading.pitch)) <= limits.FRONTAL_DEG


def _comparable(readings: Sequence[FaceReading]) -> list[FaceReading]:
    """The clear readings of the commonest frontal pose: who nods or turns meanwhile comes back to it."""
    third_sharpest = sorted((r.sharpness for r in readings), reverse=True)[:3][-1]
    frontal = [r for r in readings if _is_frontal(r)]
    alike = compress(frontal, in_commonest_pose([r.facing for r in frontal])) if frontal else ()
    sharp = max(limits.SHARPEST_SHARE * third_sharpest, limits.SHARP_SHARE * median(r.sharpness for r in readings))
    return [r for r in alike if r.sharpness >= sharp]

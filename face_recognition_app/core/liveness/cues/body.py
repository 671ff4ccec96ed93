"""Body cue: breathing moves the shoulders; an animated photograph moves only its face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydantic import Base64UrlBytes

from core.features.values import THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH, Thumbnail
from core.liveness import limits
from core.liveness.observation import FaceReading
from core.types import Box

Grey = npt.NDArray[np.float64]
"""(THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH)."""
Region = npt.NDArray[np.bool_]
"""(THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH)."""

_BELOW_CHIN = 0.12
_SHOULDERS = 1.8
_BESIDE = 0.95
_ABOVE_CHIN = 0.2
"""Limits of the regions of shoulders and background, as shares of the face's width and height."""
_MIN_PIXELS = 60
_TEXTURED = 4.0
"""Least root mean square gradient, brightness per pixel, of a background whose motion can be measured."""


@dataclass(slots=True)
class BodyCue:
    """`motion`: largest extent of the shoulders' motion so far, per cent of the face's width; None until measured."""

    reference: Base64UrlBytes = b""
    at_rest: FaceReading | None = None
    shifts: list[tuple[float, float, float, float]] = field(default_factory=list)
    motion: float | None = None

    def observe(self, reading: FaceReading, thumbnail: Thumbnail) -> None:
        if self.at_rest is None:
            self.reference, self.at_rest = thumbnail.tobytes(), reading
            return
        before = _smoothed(np.frombuffer(self.reference, np.uint8).reshape(THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH))
        now, (shoulders, behind) = _smoothed(thumbnail), regions(self.at_rest.box)
        if _at_rest(reading, self.at_rest) and shoulders.sum() >= _MIN_PIXELS:
            moved_behind = shift(before, now, behind) if _texture(before, behind) >= _TEXTURED else (0.0, 0.0)
            self._follow_shoulders(
                shift(before, now, shoulders), moved_behind, max(1e-6, self.at_rest.box.width) * THUMBNAIL_WIDTH
            )

    @property
    def progress(self) -> None:
        """Nothing of its own: it is evidence for the person only, and changes the verdict when it is enough."""

    def interrupt(self) -> None:
        self.at_rest, self.shifts = None, []

    def _follow_shoulders(self, moved: tuple[float, float], behind: tuple[float, float], face_width: float) -> None:
        """Add a shift of the shoulders; the smaller of their motion in the frame and against the background counts."""
        (x, y), (x_behind, y_behind) = moved, behind
        self.shifts = [*self.shifts, (x, y, x - x_behind, y - y_behind)][-limits.BODY_WINDOW :]
        if len(self.shifts) >= limits.MIN_BODY_READINGS:
            extent = min(_extent([s[:2] for s in self.shifts]), _extent([s[2:] for s in self.shifts]))
            self.motion = round(max(self.motion or 0.0, extent / face_width * 100), 3)


def _extent(shifts: Sequence[tuple[float, float]]) -> float:
    """Extent of the shifts, smoothed over three against noise, without the outermost tenth."""
    places = np.array(shifts)
    smooth = (places[2:] + places[1:-1] + places[:-2]) / 3
    high, low = np.percentile(smooth, [95, 5], axis=0)
    return float(np.hypot(*(high - low)))


def _at_rest(reading: FaceReading, other: FaceReading) -> bool:
    """Whether a face is at rest as in `other`: an animated photograph also warps the surroundings of a moving face."""
    turned = max(abs(reading.yaw - other.yaw), abs(reading.pitch - other.pitch))
    return (
        turned <= limits.BODY_POSE_DEG
        and abs(reading.mouth_opening - other.mouth_opening) <= limits.BODY_MOUTH
        and abs(reading.smile - other.smile) <= limits.BODY_SMILE
        and abs(reading.size / other.size - 1.0) <= limits.BODY_SIZE
    )


def regions(box: Box) -> tuple[Region, Region]:
    """Masks of the shoulders, below the face, and of the background, beside and above it."""
    rows, columns = np.arange(THUMBNAIL_HEIGHT), np.arange(THUMBNAIL_WIDTH)
    middle, chin = (box.x + box.width / 2) * THUMBNAIL_WIDTH, (box.y + box.height) * THUMBNAIL_HEIGHT
    width, height = box.width * THUMBNAIL_WIDTH, box.height * THUMBNAIL_HEIGHT
    inside_rows = (rows > 0) & (rows < THUMBNAIL_HEIGHT - 1)
    inside_columns = (columns > 0) & (columns < THUMBNAIL_WIDTH - 1)
    off = np.abs(columns - middle)
    shoulders = np.outer(
        inside_rows & (rows > chin + _BELOW_CHIN * height), inside_columns & (off < _SHOULDERS * width)
    )
    behind = np.outer(inside_rows & (rows < chin - _ABOVE_CHIN * height), inside_columns & (off > _BESIDE * width))
    return shoulders, behind


def shift(before: Grey, now: Grey, region: Region) -> tuple[float, float]:
    """Motion of the region's content, pixels to the right and down; brightness may change meanwhile.

    One step of least squares: B. Lucas and T. Kanade, IJCAI 1981. Accurate for motions of about a pixel; longer ones
    are underestimated.
    """
    changed = (before - now)[region]
    if changed.size < _MIN_PIXELS:
        return 0.0, 0.0
    down, across = _slopes((before + now) / 2)
    terms = np.stack([across[region], down[region], before[region], np.ones(changed.size)])
    # Normal equations: there are four unknowns and a thousand pixels.
    found = np.linalg.lstsq(terms @ terms.T, terms @ changed, rcond=1e-10)[0]
    return float(found[0]), float(found[1])


def _texture(grey: Grey, region: Region) -> float:
    down, across = _slopes(grey)
    steepness = (across**2 + down**2)[region]
    return float(np.sqrt(steepness.mean())) if steepness.size >= _MIN_PIXELS else 0.0


def _slopes(grey: Grey) -> tuple[Grey, Grey]:
    """Gradient of brightness per pixel, down and across; 0 at the edge, which no region includes."""
    down, across = np.zeros_like(grey), np.zeros_like(grey)
    down[1:-1] = (grey[2:] - grey[:-2]) / 2
    across[:, 1:-1] = (grey[:, 2:] - grey[:, :-2]) / 2
    return down, across


def _smoothed(thumbnail: Thumbnail) -> Grey:
    """Smooth with weights 1, 2, 1 both ways: derivatives of the raw picture are mostly noise."""
    # In integers of 16 bits, which hold 16 x 255: a third of the time.
    padded = np.empty((THUMBNAIL_HEIGHT + 2, THUMBNAIL_WIDTH + 2), np.uint16)
    padded[1:-1, 1:-1] = thumbnail
    padded[0], padded[-1] = padded[1], padded[-2]
    padded[:, 0], padded[:, -1] = padded[:, 1], padded[:, -2]
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    return np.asarray((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16, np.float64)

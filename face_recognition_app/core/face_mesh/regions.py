"""Regions: the rotated squares of a frame that the networks take as input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from core.geometry import Matrix, extent
from core.types import Framing, Points, Region, RgbImage, TrackedFace

MARGIN = 1.5
"""Side of the region over the larger side of a detected box, as in the mesh networks' training."""
_MARGIN_OF_POINTS = 1.42
_MAX_COPY_SCALE = 3
"""Largest side of a region, over the output's, that is copied first: of larger ones most pixels are never read."""
_EYE_CORNERS = (33, 263)
"""Landmarks of the outer corners, first the one on the left of the picture."""


def around_box(box: Points, left_eye: Points, right_eye: Points) -> Region:
    """Region of a detected face, from the corners of its `box`, (2, 2), and its eyes, each (2,)."""
    tight = _tight(box, left_eye, right_eye)
    return replace(tight, side=tight.side * MARGIN)


def around_points(points: Points) -> Region:
    """Region of a face of which the landmarks (n, 3) are known, as large as that of a detected one commonly is."""
    tight = _tight_around(points)
    return replace(tight, side=tight.side * _MARGIN_OF_POINTS)


def framing_of(region: Region, points: Points) -> Framing:
    """Framing of the region relative to the landmarks (n, 3) that were found in it."""
    tight = _tight_around(points)
    cosine, sine = math.cos(tight.angle), math.sin(tight.angle)
    x, y = (region.x - tight.x) / tight.side, (region.y - tight.y) / tight.side
    turn = (region.angle - tight.angle + math.pi) % (2 * math.pi) - math.pi
    return Framing(region.side / tight.side, cosine * x + sine * y, cosine * y - sine * x, turn)


def track(points: Points, framing: Framing) -> TrackedFace:
    """Region with the given framing of the landmarks `points`.

    A landmark network gives slightly different lips and lids for every region. Keeping the framing of the detection
    keeps them comparable and prevents drift.
    """
    tight = _tight_around(points)
    cosine, sine = math.cos(tight.angle) * tight.side, math.sin(tight.angle) * tight.side
    region = Region(
        tight.x + cosine * framing.right - sine * framing.down,
        tight.y + sine * framing.right + cosine * framing.down,
        tight.side * framing.scale,
        tight.angle + framing.turn,
    )
    return TrackedFace(region, framing)


def shift(region: Region, other: Region) -> float:
    """Distance of the centres, as a share of the first region's side."""
    return math.hypot(region.x - other.x, region.y - other.y) / region.side


def _tight_around(points: Points) -> Region:
    flat = points[:, :2]
    return _tight(flat, flat[_EYE_CORNERS[0]], flat[_EYE_CORNERS[1]])


def _tight(points: Points, left_eye: Points, right_eye: Points) -> Region:
    low, high = extent(points)
    across = right_eye - left_eye
    x, y = (low + high) / 2
    return Region(float(x), float(y), float((high - low).max()), math.atan2(across[1], across[0]))


@dataclass(frozen=True, slots=True)
class Cut:
    """Placement of a cut: `transform`, (2, 3), from its pixels to the frame's, and `scale`, frame pixels per pixel."""

    transform: Matrix
    scale: float

    def places(self, places: Sequence[Points]) -> Points:
        """Convert places, each (2,), from pixels of the cut to pixels of the frame: (n, 2)."""
        return np.asarray(np.array(places) @ self.transform[:, :2].T + self.transform[:, 2], np.float32)

    def to_frame(self, landmarks: Points) -> Points:
        """Convert landmarks (n, 3) from pixels of the cut to pixels of the frame."""
        transform = np.zeros((3, 4))
        transform[:2, :2], transform[:2, 3], transform[2, 2] = self.transform[:, :2], self.transform[:, 2], self.scale
        return np.asarray(cv2.transform(landmarks[np.newaxis], transform)[0], np.float32)


def cut(rgb: RgbImage, region: Region, picture: RgbImage) -> Cut:
    """Fill `picture`, (n, n, 3), with the region turned upright; beyond the frame its edge is repeated."""
    made = Cut(_to_frame(region, len(picture)), region.side / len(picture))
    part, left, top = _bounding_part(rgb, region)
    if region.side <= _MAX_COPY_SCALE * len(picture):
        part = part.copy()  # Warping from contiguous rows takes two thirds of the time.
    transform = made.transform.copy()
    transform[:, 2] -= left, top
    cv2.warpAffine(
        part,
        transform,
        picture.shape[:2],
        dst=picture,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return made


def _bounding_part(rgb: RgbImage, region: Region) -> tuple[RgbImage, int, int]:
    """Bounding rectangle of the region in the frame, at least one pixel, and its left and top."""
    height, width = rgb.shape[:2]
    reach = region.side / 2 * (abs(math.cos(region.angle)) + abs(math.sin(region.angle))) + 2
    left, right = _within(region.x - reach, region.x + reach, width)
    top, bottom = _within(region.y - reach, region.y + reach, height)
    return rgb[top:bottom, left:right], left, top


def _within(low: float, high: float, size: int) -> tuple[int, int]:
    first = min(max(0, math.floor(low)), size - 1)
    return first, max(first + 1, min(size, math.ceil(high)))


def _to_frame(region: Region, size: int) -> Matrix:
    """(2, 3) transform from pixels of the cut to pixels of the frame."""
    scale = region.side / size
    cosine, sine = math.cos(region.angle) * scale, math.sin(region.angle) * scale
    half = size / 2
    return np.array(
        [
            [cosine, -sine, region.x - half * (cosine - sine)],
            [sine, cosine, region.y - half * (sine + cosine)],
        ]
    )

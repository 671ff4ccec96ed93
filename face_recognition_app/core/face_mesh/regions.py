"""The turned squares in which the networks look at faces."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from core.types import Framing, Points, RgbImage

_MARGIN = 1.5
"""Side of the region over the larger side of a detected box, as the mesh networks were trained."""
_EYE_CORNERS = (33, 263)
"""Landmarks: the outer ones, first the one on the left of the picture."""


@dataclass(frozen=True, slots=True)
class Region:
    """A square around a face, turned by `angle` (radians, clockwise) to make it upright; pixels of the frame."""

    x: float
    y: float
    side: float
    angle: float


def around_box(box: Points, left_eye: Points, right_eye: Points) -> Region:
    """The region of a detected face: the corners of its `box`, (2, 2), and its eyes, each (2,)."""
    tight = _tight(box, left_eye, right_eye)
    return replace(tight, side=tight.side * _MARGIN)


def framing_of(region: Region, points: Points) -> Framing:
    """How the region stands about the landmarks (n, 3) that were found in it."""
    tight = _tight_around(points)
    cosine, sine = np.cos(tight.angle), np.sin(tight.angle)
    x, y = (region.x - tight.x) / tight.side, (region.y - tight.y) / tight.side
    turn = (region.angle - tight.angle + np.pi) % (2 * np.pi) - np.pi
    return Framing(region.side / tight.side, float(cosine * x + sine * y), float(cosine * y - sine * x), float(turn))


def framed(points: Points, framing: Framing) -> Region:
    """The region that stands about these landmarks as one stood about earlier ones of the same face.

    A network sees lips and lids a little otherwise in every region; so a followed face is seen as it was when it was
    detected, and nothing drifts.
    """
    tight = _tight_around(points)
    cosine, sine = np.cos(tight.angle) * tight.side, np.sin(tight.angle) * tight.side
    return Region(
        float(tight.x + cosine * framing.right - sine * framing.down),
        float(tight.y + sine * framing.right + cosine * framing.down),
        tight.side * framing.scale,
        tight.angle + framing.turn,
    )


def shift(region: Region, other: Region) -> float:
    """How far apart their middles are, in sides of the first."""
    return float(np.hypot(region.x - other.x, region.y - other.y)) / region.side


def _tight_around(points: Points) -> Region:
    flat = points[:, :2]
    return _tight(flat, flat[_EYE_CORNERS[0]], flat[_EYE_CORNERS[1]])


def _tight(points: Points, left_eye: Points, right_eye: Points) -> Region:
    low, high = np.minimum.reduce(points), np.maximum.reduce(points)
    across = right_eye - left_eye
    x, y = (low + high) / 2
    return Region(float(x), float(y), float((high - low).max()), float(np.arctan2(across[1], across[0])))


@dataclass(frozen=True, slots=True)
class Cut:
    """How a picture was cut out: the (2, 3) `transform` of its pixels to the frame's, `scale` times as large."""

    transform: npt.NDArray[np.float64]
    scale: float

    def to_frame(self, landmarks: Points) -> Points:
        """Landmarks (n, 3) in pixels of the picture as pixels of the frame."""
        points = np.empty_like(landmarks)
        points[:, :2] = landmarks[:, :2] @ self.transform[:, :2].T + self.transform[:, 2]
        points[:, 2] = landmarks[:, 2] * self.scale
        return points


def cut(rgb: RgbImage, region: Region, picture: RgbImage) -> Cut:
    """Fill `picture`, (n, n, 3), with the region made upright; what lies beyond the frame repeats its edge."""
    made = Cut(_to_frame(region, len(picture)), region.side / len(picture))
    cv2.warpAffine(
        rgb,
        made.transform,
        picture.shape[:2],
        dst=picture,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return made


def _to_frame(region: Region, size: int) -> npt.NDArray[np.float64]:
    """The (2, 3) transform from pixels of the cut to pixels of the frame."""
    scale = region.side / size
    cosine, sine = np.cos(region.angle) * scale, np.sin(region.angle) * scale
    half = size / 2
    return np.array(
        [
            [cosine, -sine, region.x - half * (cosine - sine)],
            [sine, cosine, region.y - half * (sine + cosine)],
        ]
    )

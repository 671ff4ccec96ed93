"""The turned squares in which the networks look at faces."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.types import Points, RgbImage

_MARGIN = 1.5
"""Side of the region over the larger side of the face, as the mesh networks were trained."""
_EYE_CORNERS = (33, 263)
"""Landmarks: the outer ones, first the one on the left of the picture."""


@dataclass(frozen=True, slots=True)
class Region:
    """A square around a face, turned by `angle` (radians, clockwise) to make it upright; pixels of the frame."""

    x: float
    y: float
    side: float
    angle: float


def around(points: Points, left_eye: Points, right_eye: Points) -> Region:
    """The region of a face whose outline or landmarks are `points` (n, 2), upright by its eyes, each (2,)."""
    low, high = points.min(axis=0), points.max(axis=0)
    across = right_eye - left_eye
    middle = (low + high) / 2
    side = float((high - low).max()) * _MARGIN
    return Region(float(middle[0]), float(middle[1]), side, float(np.arctan2(across[1], across[0])))


def around_mesh(points: Points) -> Region:
    """The region to look at in the next frame, from the landmarks of this one."""
    flat = points[:, :2]
    return around(flat, flat[_EYE_CORNERS[0]], flat[_EYE_CORNERS[1]])


def cut(rgb: RgbImage, region: Region, size: int) -> RgbImage:
    """The region as an upright (size, size, 3) picture; what lies beyond the frame repeats its edge."""
    crop = cv2.warpAffine(
        rgb,
        _to_frame(region, size),
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(crop, np.uint8)


def to_frame(landmarks: Points, region: Region, size: int) -> Points:
    """Landmarks (n, 3) in pixels of the cut as pixels of the frame."""
    matrix = _to_frame(region, size)
    points = np.empty_like(landmarks)
    points[:, :2] = landmarks[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    points[:, 2] = landmarks[:, 2] * (region.side / size)
    return points


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

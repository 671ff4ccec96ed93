"""The edge of what is held before the camera: long straight lines around the face."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from core.types import MeshFace, RgbImage

_ROWS = 240
_SHORTEST = 12.0
_LEAN_DEG = 20.0
_STRAIGHT_PX = 2.5

Segments = npt.NDArray[np.float32]
"""(n, 4): ends of n segments, x, y, x, y, pixels of the reduced frame."""


def border_strength(rgb: RgbImage, face: MeshFace) -> float:
    """How much of the frame's height or width the second longest of four lines spans, 0..1.

    One line is looked for on each side of the face: left, right, above, below. A door post is one
    line; paper and displays show two or more.
    """
    scale = _ROWS / rgb.shape[0]
    size = (round(rgb.shape[1] * scale), _ROWS)
    grey = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    found = _detector().detect(grey)[0]
    if found is None:
        return 0.0
    points = face.points[:, :2] * scale
    sides = _beside(np.asarray(found, np.float32).reshape(-1, 4), points.min(axis=0), points.max(axis=0))
    lengths = [_longest(side.segments) / (size[1] if side.upright else size[0]) for side in sides]
    return float(min(1.0, sorted(lengths)[-2]))


@dataclass(frozen=True, slots=True)
class _Side:
    upright: bool
    segments: Segments


def _beside(segments: Segments, low: npt.NDArray[np.float32], high: npt.NDArray[np.float32]) -> Iterator[_Side]:
    along = segments[:, 2:] - segments[:, :2]
    lean = np.degrees(np.arctan2(along[:, 1], along[:, 0])) % 180
    long = np.hypot(along[:, 0], along[:, 1]) >= _SHORTEST
    upright = long & (np.abs(lean - 90) <= _LEAN_DEG)
    level = long & ((lean <= _LEAN_DEG) | (lean >= 180 - _LEAN_DEG))
    middle = (segments[:, :2] + segments[:, 2:]) / 2
    yield _Side(True, segments[upright & (middle[:, 0] < low[0])])
    yield _Side(True, segments[upright & (middle[:, 0] > high[0])])
    yield _Side(False, segments[level & (middle[:, 1] < low[1])])
    yield _Side(False, segments[level & (middle[:, 1] > high[1])])


def _longest(segments: Segments) -> float:
    """Of the lines that the segments make up; one that is broken counts with all its parts."""
    if not len(segments):
        return 0.0
    lengths = np.hypot(segments[:, 2] - segments[:, 0], segments[:, 3] - segments[:, 1])
    direction = (segments[:, 2:] - segments[:, :2]) / lengths[:, np.newaxis]
    normal = np.stack([direction[:, 1], -direction[:, 0]], axis=1)
    offset = (segments[:, :2] * normal).sum(axis=1)
    near = [np.abs(segments[:, end : end + 2] @ normal.T - offset) < _STRAIGHT_PX for end in (0, 2)]
    return float((lengths @ (near[0] & near[1])).max())


_of_thread = threading.local()


def _detector() -> Any:
    """R. Grompone von Gioi et al., "LSD: a line segment detector", Image Processing On Line 2, 2012.

    One for each thread: two that share one crash.
    """
    if not hasattr(_of_thread, "detector"):
        _of_thread.detector = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD)
    return _of_thread.detector

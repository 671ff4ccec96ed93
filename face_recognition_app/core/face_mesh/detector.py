"""Face detector for a whole frame: BlazeFace, short range.

V. Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from core.face_mesh import regions
from core.networks import OpenVinoNetwork
from core.types import Region, RgbImage

SIZE = 128
_MIN_SCORE = 0.5
_SAME_FACE = 0.3
"""Intersection over union above which two boxes are of one face."""

Floats = npt.NDArray[np.float32]


def _anchors() -> Floats:
    """(896, 2): centres of two boxes per cell of a 16x16 grid, then of six per cell of an 8x8 grid."""
    grids = []
    for cells, boxes in ((16, 2), (8, 6)):
        middles = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        grids.append(np.repeat(np.stack(np.meshgrid(middles, middles), axis=-1).reshape(-1, 2), boxes, axis=0))
    return np.asarray(np.concatenate(grids) * SIZE, np.float32)


_ANCHORS = _anchors()


@dataclass(frozen=True, slots=True)
class Letterbox:
    """A frame scaled to fit a square, with black margins. `left` and `top`: margins, in pixels of the square."""

    picture: RgbImage
    scale: float
    left: float
    top: float


def letterbox(rgb: RgbImage) -> Letterbox:
    height, width = rgb.shape[:2]
    scale = SIZE / max(height, width)
    left, top = (SIZE - width * scale) / 2, (SIZE - height * scale) / 2
    transform = np.array([[scale, 0.0, left], [0.0, scale, top]])
    return Letterbox(np.asarray(cv2.warpAffine(rgb, transform, (SIZE, SIZE)), np.uint8), scale, left, top)


def find_faces(network: OpenVinoNetwork, rgb: RgbImage) -> list[Region]:
    """Regions of all faces, the most certain first."""
    boxed = letterbox(rgb)
    with network.request() as request:
        request.input[0] = boxed.picture
        boxes, scores = request.run()
        return [_region(box, boxed) for box in decode(boxes[0], scores[0, :, 0])]


def decode(raw: Floats, logits: Floats) -> list[Floats]:
    """Faces, each (16,): left, top, right, bottom, then x and y of six points; pixels of the square.

    `raw`: (896, 16), relative to the anchors. `logits`: (896,). Boxes of one face are averaged, weighted by score.
    """
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits, -50.0, 50.0)))
    good = np.flatnonzero(scores >= _MIN_SCORE)
    order = good[np.argsort(-scores[good], kind="stable")]
    faces = _placed(raw[order], _ANCHORS[order])
    weights = scores[order]
    found = []
    while len(faces):
        same = _overlap(faces[0], faces) > _SAME_FACE
        same[0] = True
        found.append(np.average(faces[same], axis=0, weights=weights[same]).astype(np.float32))
        faces, weights = faces[~same], weights[~same]
    return found


def _placed(raw: Floats, anchors: Floats) -> Floats:
    placed = raw + np.tile(anchors, 8)
    middle, half = raw[:, 0:2] + anchors, raw[:, 2:4] / 2
    placed[:, 0:2], placed[:, 2:4] = middle - half, middle + half
    return placed


def _overlap(face: Floats, faces: Floats) -> Floats:
    """Intersection over union of one box with each of several."""
    low = np.maximum(face[:2], faces[:, :2])
    high = np.minimum(face[2:4], faces[:, 2:4])
    shared = np.prod(np.maximum(high - low, 0.0), axis=1)
    areas = np.prod(faces[:, 2:4] - faces[:, :2], axis=1)
    return np.asarray(shared / np.maximum(areas + np.prod(face[2:4] - face[:2]) - shared, 1e-9))


def _region(face: Floats, boxed: Letterbox) -> Region:
    places = (face.reshape(8, 2) - (boxed.left, boxed.top)) / boxed.scale
    return regions.around_box(places[:2], places[2], places[3])

"""Face detector for a whole frame: BlazeFace, short range.

V. Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from core.face_mesh import regions
from core.networks import InferRequest, OpenVinoNetwork
from core.types import Region, RgbImage

SIZE = 128
_MIN_SCORE = 0.5
_OVERLAP = 0.25
SURROUNDINGS = 1.6
"""Side of what is looked at again from near, over that of the region."""
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
    """A frame or a part of it scaled to fit a square. `left` and `top`: where the frame begins in it, pixels."""

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


def find_faces(network: OpenVinoNetwork, rgb: RgbImage, look: int = 0) -> list[Region]:
    """Regions of all faces, in each tile the most certain first. Look 0 is at the whole frame; each later one is at
    twice the scale of the one before, in tiles as large as the network's input."""
    shown = [letterbox(rgb)] if look == 0 else tiles(rgb, SIZE << look)
    with network.request() as request:
        return [region for part in shown for region in _find(request, part)]


def is_too_close(rgb: RgbImage, look: int) -> bool:
    """Whether a look would show no more than the one before it, because the frame is not that large."""
    return bool(SIZE << look > max(rgb.shape))


def look_again(network: OpenVinoNetwork, rgb: RgbImage, region: Region) -> Region:
    """The region as the detector sees it from near: one that was found as small as a few pixels is inexact."""
    with network.request() as request:
        near = regions.cut(rgb, replace(region, side=SURROUNDINGS * region.side), request.input[0])
        boxes, scores = request.run()
        found = decode(boxes[0], scores[0, :, 0])
    if not found:
        return region
    places = found[0].reshape(8, 2)
    (x, y), left_eye, right_eye = near.places((places[:2].mean(axis=0), places[2], places[3]))
    across, side = right_eye - left_eye, float(np.ptp(places[:2], axis=0).max()) * near.scale
    return Region(float(x), float(y), regions.MARGIN * side, math.atan2(across[1], across[0]))


def tiles(rgb: RgbImage, side: int) -> Iterator[Letterbox]:
    """The frame, scaled so that its larger side is `side`, in squares that overlap by a quarter or more: a face that is
    cut in one is whole in another, as it is smaller than that."""
    height, width = rgb.shape[:2]
    scale = side / max(height, width)
    size = max(SIZE, round(width * scale)), max(SIZE, round(height * scale))
    scaled = np.zeros((size[1], size[0], 3), np.uint8)
    shown = round(width * scale), round(height * scale)
    scaled[: shown[1], : shown[0]] = cv2.resize(rgb, shown, interpolation=cv2.INTER_AREA)
    for top in _starts(size[1]):
        for left in _starts(size[0]):
            yield Letterbox(scaled[top : top + SIZE, left : left + SIZE], scale, -left, -top)


def _starts(length: int) -> list[int]:
    """Where tiles begin along a side: evenly, the first and the last at its ends."""
    steps = math.ceil((length - SIZE) / (SIZE * (1 - _OVERLAP)))
    return [round(step * (length - SIZE) / max(steps, 1)) for step in range(steps + 1)]


def _find(request: InferRequest, boxed: Letterbox) -> list[Region]:
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

"""Face crops, placed and scaled as the networks' training data were."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from core.geometry import Matrix, extent, similarity_transform
from core.types import MeshFace, RgbImage

ALIGNED_SIZE = 112
_MESH_POINTS = [468, 473, 1, 61, 291]
"""Irises, tip of the nose and mouth corners; first the ones on the left of the picture."""

_ARCFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
"""Where ArcFace (Deng et al., CVPR 2019) puts the same five points in its 112x112 crop."""


@dataclass(frozen=True, slots=True)
class AlignedFace:
    """`crop`: (112, 112, 3) RGB, with eyes, nose and mouth where the embedder expects them. `transform`: the (2, 3)
    similarity transform from frame to crop."""

    crop: RgbImage
    transform: Matrix


def align(rgb: RgbImage, face: MeshFace) -> AlignedFace:
    transform = similarity_transform(face.points[_MESH_POINTS, :2], _ARCFACE_POINTS)
    crop = cv2.warpAffine(rgb, transform, (ALIGNED_SIZE, ALIGNED_SIZE))
    return AlignedFace(np.asarray(crop, np.uint8), transform)


def square_crop(rgb: RgbImage, face: MeshFace, scale: float, size: int) -> RgbImage:
    """A (size, size, 3) RGB crop around the face, `scale` times the larger side of its box.

    A crop that reaches beyond the picture is moved inside, and reduced if necessary: the anti-spoof network takes a
    black margin for the edge of a display.
    """
    height, width = rgb.shape[:2]
    low, high = extent(face.points)
    side = min(float((high - low).max()) * scale, float(min(height, width)))
    left, top = np.clip((low + high - side) / 2, 0.0, [width - side, height - side])
    zoom = size / side
    transform = np.array([[zoom, 0, -left * zoom], [0, zoom, -top * zoom]])
    crop = cv2.warpAffine(rgb, transform, (size, size), borderMode=cv2.BORDER_REPLICATE)
    return crop.astype(np.uint8, copy=False)

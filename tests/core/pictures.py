"""Pictures that are changed together with what is known of the face in them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from core.types import MeshFace, RgbImage


def moved(rgb: RgbImage, face: MeshFace, transform: cv2.typing.MatLike) -> tuple[RgbImage, MeshFace]:
    picture = np.asarray(cv2.warpAffine(rgb, transform, (rgb.shape[1], rgb.shape[0])), np.uint8)
    points = face.points.copy()
    points[:, :2] = points[:, :2] @ transform[:, :2].T + transform[:, 2]
    return picture, replace(face, points=points)


def shifted(rgb: RgbImage, x: int, y: int) -> RgbImage:
    size = (rgb.shape[1], rgb.shape[0])
    transform = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    return np.asarray(cv2.warpAffine(rgb, transform, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)

"""An aligned crop as a file: PNG, which loses nothing, so that a network computes the same of it again."""

from __future__ import annotations

import cv2
import numpy as np

from core.errors import InvalidImage
from core.imaging.alignment import ALIGNED_SIZE
from core.types import RgbImage


def to_png(crop: RgbImage) -> bytes:
    _, data = cv2.imencode(".png", crop[:, :, ::-1])
    return data.tobytes()


def from_png(data: bytes) -> RgbImage:
    """Read what `to_png` wrote. Raises InvalidImage for anything else."""
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if bgr is None or bgr.shape != (ALIGNED_SIZE, ALIGNED_SIZE, 3):
        raise InvalidImage("not an aligned crop")
    return np.ascontiguousarray(bgr[:, :, ::-1], np.uint8)

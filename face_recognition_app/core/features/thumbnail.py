"""Small grey copy of the frame, in which motion of shoulders and walls is measured to a tenth of a pixel."""

from __future__ import annotations

import cv2
import numpy as np

from core.features.values import THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH, Thumbnail
from core.types import RgbImage


def thumbnail(rgb: RgbImage) -> Thumbnail:
    small = cv2.resize(rgb, (THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)

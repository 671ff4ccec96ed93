"""The whole frame, small and grey: enough to see shoulders and walls move by a tenth of a pixel."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from core.types import RgbImage

Thumbnail = npt.NDArray[np.uint8]
"""(60, 80): the frame's brightness, squeezed to this size whatever its proportions."""

WIDTH, HEIGHT = 80, 60


def thumbnail(rgb: RgbImage) -> Thumbnail:
    small = cv2.resize(rgb, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)

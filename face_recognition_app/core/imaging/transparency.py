"""Pictures with transparent pixels: nobody sees their colour, so it must not be looked at."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from core.types import RgbImage

_BACKGROUND = 255
"""White, on which browsers and galleries show pictures."""
_ROWS = 256
"""Rows that are blended at once, to keep the memory for it small."""


def opaque_rgb(decoded: npt.NDArray[Any]) -> RgbImage:
    """8-bit RGB of what OpenCV decodes unchanged: 8 or 16 bits, grey, BGR, or BGR with alpha, which is blended."""
    pixels = decoded if decoded.dtype == np.uint8 else np.asarray(decoded >> 8, np.uint8)
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), np.uint8)
    rgb = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB), np.uint8)
    if pixels.shape[2] == 4 and pixels[:, :, 3].min() < 255:
        for top in range(0, len(rgb), _ROWS):
            _blend(rgb[top : top + _ROWS], pixels[top : top + _ROWS, :, 3:])
    return rgb


def _blend(rgb: RgbImage, alpha: npt.NDArray[np.uint8]) -> None:
    share = alpha.astype(np.uint16)
    rgb[:] = (rgb * share + _BACKGROUND * (255 - share) + 127) // 255

"""Fine structure of a face, which shows without an embedding that two frames are plainly of the same person.

It only saves embeddings: a face that does not look the same is embedded, and never refused for its appearance.
"""

from __future__ import annotations

import cv2
import numpy as np

from core.features.values import Appearance
from core.types import RgbImage

_SIDE = 28
SIZE = _SIDE**2
_COARSE = 4.0
"""Sigma, pixels, of the blur that is subtracted: wider shading is light, not structure."""


def appearance(crop: RgbImage) -> Appearance:
    """Appearance of the aligned crop (core.imaging.alignment)."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    fine = (small - cv2.GaussianBlur(small, (0, 0), _COARSE)).ravel()
    fine -= fine.mean()
    return np.asarray(fine / max(float(np.linalg.norm(fine)), 1e-6), np.float32)

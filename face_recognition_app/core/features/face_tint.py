"""The colour of the light that falls on a face."""

from __future__ import annotations

import numpy as np

from core.features.skin_samples import SKIN_POINTS
from core.types import MeshFace, RgbImage


def face_tint(rgb: RgbImage, face: MeshFace) -> tuple[float, float]:
    """Natural logarithms of red over green and blue over green, of the mean of nose, cheeks and chin.

    Ratios do not change with the exposure.
    """
    height, width = rgb.shape[:2]
    places = np.clip(face.points[SKIN_POINTS, :2], 0, [width - 1, height - 1]).astype(int)
    red, green, blue = rgb[places[:, 1], places[:, 0]].mean(axis=0) + 1.0
    return round(float(np.log(red / green)), 5), round(float(np.log(blue / green)), 5)

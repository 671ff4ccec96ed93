"""How bright the skin is at fixed places of the mesh: a picture of the face that moves with it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from core.alignment import ALIGNED_SIZE, alignment
from core.types import MeshFace, RgbImage

SkinSamples = npt.NDArray[np.uint8]
"""(n,): brightness at SKIN_POINTS, 1..255; 0 where the place lies outside the aligned crop."""

_LIDS = (33, 246, 161, 160, 159, 158, 157, 173, 133, 7, 163, 144, 145, 153, 154, 155)
_OTHER_LIDS = (263, 466, 388, 387, 386, 385, 384, 398, 362, 249, 390, 373, 374, 380, 381, 382)
_OUTER_LIPS = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409)
_INNER_LIPS = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415)
_BROW = (389, 251, 284, 332, 297, 338, 10, 109, 67, 103, 54, 21, 162)
_CHEEKS = (356, 454, 323, 361, 288, 397, 365, 379, 378, 127, 234, 93, 132, 58, 172, 136, 150, 149)
_CHIN = (400, 377, 152, 148, 176)
_NO_SKIN = (*_LIDS, *_OTHER_LIDS, *_OUTER_LIPS, *_INNER_LIPS, *_BROW, *_CHEEKS, *_CHIN)

SKIN_POINTS = np.setdiff1d(np.arange(468), _NO_SKIN)[::2]
"""Every second landmark that is not of an eye, a lip or the outline of the face."""

_SMOOTHING = 2.0
"""Pixels of the aligned crop: what a landmark is off by matters less."""


def sample_skin(rgb: RgbImage, face: MeshFace) -> tuple[SkinSamples, npt.NDArray[np.float32]]:
    """The samples, and the mean colour (3,) of the whole crop's middle."""
    transform = alignment(face)
    crop = cv2.warpAffine(rgb, transform, (ALIGNED_SIZE, ALIGNED_SIZE))
    grey = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (0, 0), _SMOOTHING)
    places = (face.points[SKIN_POINTS, :2] @ transform[:, :2].T + transform[:, 2]).astype(np.float32)
    samples = cv2.remap(
        grey, places[:, :1], places[:, 1:], cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0,)
    )
    outside = ((places < 1) | (places > ALIGNED_SIZE - 2)).any(axis=1)
    middle = crop[28:100, 24:88].reshape(-1, 3)
    return np.where(outside, 0, np.maximum(samples[:, 0], 1)).astype(np.uint8), middle.mean(axis=0, dtype=np.float32)

"""Brightness of the skin at fixed landmarks, sampled where they are in each frame."""

from __future__ import annotations

import cv2
import numpy as np

from core.features.values import SkinSamples
from core.imaging.alignment import ALIGNED_SIZE, AlignedFace
from core.types import MeshFace

_LANDMARKS = """
    1 5 11 15 18 20 36 41 43 45 49 51 59 62 64 73 75 77 83 86 90 94 97 99 101 106 115 123 125 134 137 141 164 166
    170 177 180 183 186 199 201 203 205 207 209 211 213 215 219 236 238 240 242 250 266 271 273 275 279 281 289 292
    294 303 305 307 313 316 320 325 327 329 331 355 358 360 364 367 369 371 376 391 393 395 403 406 408 411 416 418
    420 422 424 426 428 430 432 434 436 438 440 455 457 459 461
"""
SKIN_POINTS = np.array(_LANDMARKS.split(), np.int64)
"""Every second landmark of nose, cheeks and chin, without lips and outline.

The upper face is left out: hair covers it, lids move, and masks have their holes there.
"""

_SMOOTHING = 2.0
"""Sigma, pixels of the aligned crop, of a blur that makes errors of the landmarks matter less."""


def sample_skin(aligned: AlignedFace, face: MeshFace) -> SkinSamples:
    grey = cv2.cvtColor(aligned.crop, cv2.COLOR_RGB2GRAY)
    soft = cv2.GaussianBlur(grey, (0, 0), _SMOOTHING)
    transform = aligned.transform
    places = (face.points[SKIN_POINTS, :2] @ transform[:, :2].T + transform[:, 2]).astype(np.float32)
    samples = cv2.remap(soft, places[:, :1], places[:, 1:], cv2.INTER_LINEAR)[:, 0]
    outside = ((places < 1) | (places > ALIGNED_SIZE - 2)).any(axis=1)
    return np.where(outside, 0, np.maximum(samples, 1)).astype(np.uint8)

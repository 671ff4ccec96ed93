"""Whether mouth or nose are covered: by a mask, a scarf, a hand, a cup or a microphone.

Lips, nostrils and the folds beside them leave a pattern of edges on any uncovered face, and their colour is the skin's.
The rule is linear, over 240 measures of the lower face; `python -m bench.cover --fit` finds the weights.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from core.features.cover.rule import BIAS, WEIGHTS
from core.types import RgbImage

Measures: TypeAlias = npt.NDArray[np.float32]
"""(240,)."""

_SIZE = 56
"""The aligned crop is measured at half its size."""
_LOWER = slice(30, 54), slice(12, 44)
_ABOVE, _BELOW = (slice(29, 53), _LOWER[1]), (slice(31, 55), _LOWER[1])
_LEFT, _RIGHT = (_LOWER[0], slice(11, 43)), (_LOWER[0], slice(13, 45))
_CHEEKS = slice(30, 35), slice(14, 42)
_WHOLE = slice(16, 52), slice(12, 44)
"""Rows and columns: mouth and nose, the same moved by a pixel, and below the eyes what is skin on nearly every face."""
_CELLS = 8, 6
"""Columns and rows over mouth and nose, in each of which five means are taken."""
PLAINLY_COVERED = 1.5
"""Score that one of a thousand uncovered faces exceeds, and six of seven covered ones."""
_UNITS = np.array([100 / 255, 1.0, 1.0], np.float32)
_COLOUR_SCALE = 8.0
_LEAST_CONTRAST = 6.0


def is_covered(crop: RgbImage, *, plainly: bool = False) -> bool:
    """Whether the face in an aligned (112, 112, 3) RGB crop is covered; with `plainly`, beyond doubt."""
    return cover_score(measures(crop)) > (PLAINLY_COVERED if plainly else 0.0)


def measures(crop: RgbImage) -> Measures:
    """Brightness, colour and edges of the lower face, against those of the cheeks below the eyes."""
    small = cv2.resize(crop, (_SIZE, _SIZE), interpolation=cv2.INTER_AREA)
    # From bytes, where lightness is 0..255 and not 0..100: a quarter of the time.
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2Lab).astype(np.float32) * _UNITS
    skin = lab[_CHEEKS].reshape(-1, 3).mean(axis=0)
    bright = (lab[..., 0] - skin[0]) / (lab[_WHOLE][..., 0].std() + _LEAST_CONTRAST)
    colour = (lab[_LOWER] - skin)[..., 1:] / _COLOUR_SCALE
    edges = np.abs(np.stack([bright[_BELOW] - bright[_ABOVE], bright[_RIGHT] - bright[_LEFT]], axis=-1))
    parts = _means(bright[_LOWER]), _means(colour), np.sqrt(_means(edges))
    return np.concatenate([part.ravel() for part in parts])


def _means(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.resize(np.ascontiguousarray(values), _CELLS, interpolation=cv2.INTER_AREA), np.float32)


def cover_score(measured: Measures) -> float:
    """Positive for a covered face, as for four of a thousand that are not."""
    return float(measured @ WEIGHTS + BIAS)

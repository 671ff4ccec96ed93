"""Samples of made up scenes: a textured person before a textured wall, each shifted by shares of a pixel."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from core.features.skin_samples import SKIN_POINTS
from core.features.values import THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH, FrameSamples, SkinSamples, Thumbnail
from core.liveness.cues.body import Region, regions
from core.types import Box
from tests.core.liveness.readings import OPEN

Shift = tuple[float, float]
"""Pixels of the thumbnail, right and down."""

_FINE = 4
"""Pixels of a scene for one of its thumbnail, each way."""


def _cloth(seed: int) -> npt.NDArray[np.float32]:
    shape = (_FINE * THUMBNAIL_HEIGHT, _FINE * THUMBNAIL_WIDTH)
    grain = np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)
    soft = cv2.GaussianBlur(grain, (0, 0), 1.5 * _FINE)
    return np.asarray(128 + 40 * soft / soft.std(), np.float32)


_PERSON, _WALL = _cloth(1), _cloth(2)


def _seen(cloth: npt.NDArray[np.float32], by: Shift) -> npt.NDArray[np.float32]:
    transform = np.array([[1, 0, _FINE * by[0]], [0, 1, _FINE * by[1]]])
    moved = cv2.warpAffine(cloth, transform, cloth.shape[::-1], borderMode=cv2.BORDER_REFLECT)
    return np.asarray(cv2.resize(moved, (THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT), interpolation=cv2.INTER_AREA), np.float32)


def scene(
    shoulders: Shift = (0.0, 0.0), wall: Shift = (0.0, 0.0), box: Box = OPEN.box, noise: float = 0.0, seed: int = 0
) -> Thumbnail:
    below: Region = regions(box)[0]
    below = np.asarray(cv2.dilate(below.astype(np.uint8), np.ones((3, 3))), np.bool_)
    picture = np.where(below, _seen(_PERSON, shoulders), _seen(_WALL, wall))
    grain = np.random.default_rng(seed).normal(0, noise, picture.shape)
    return np.asarray(np.clip(np.round(picture + grain), 0, 255), np.uint8)


def wave(frame: int, period: float) -> float:
    return float(np.sin(2 * np.pi * frame / period))


def skin(frame: int, *, alive: float = 0.0, noise: float = 1.0) -> SkinSamples:
    """A face's brightness at the skin's points; of `alive` of the brightness a third of them go slowly to and fro."""
    still = np.random.default_rng(3).uniform(90, 180, len(SKIN_POINTS))
    folds = np.arange(len(SKIN_POINTS)) % 3 == 0
    changed = still * (1 + alive * wave(frame, 17) * folds) + np.random.default_rng(frame).normal(0, noise, still.shape)
    return np.asarray(np.clip(np.round(changed), 1, 255), np.uint8)


@cache
def living(frame: int) -> FrameSamples:
    """Skin that changes and shoulders that breathe."""
    breath = (0.1 * wave(frame, 31), 0.3 * wave(frame, 31))
    return frame_samples(skin(frame, alive=0.08), scene(breath, noise=1.0, seed=frame))


@cache
def photographed(frame: int) -> FrameSamples:
    """Noise alone."""
    return frame_samples(skin(frame), scene(noise=1.0, seed=frame))


def frame_samples(samples: SkinSamples, thumbnail: Thumbnail) -> FrameSamples:
    return FrameSamples(samples, thumbnail)

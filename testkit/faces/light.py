"""Pictures in more and in less light."""

from __future__ import annotations

import numpy as np

from core.types import RgbImage

_GAMMA = 2.2


def exposed(rgb: RgbImage, light: float, noise: float = 0.0, seed: int = 0) -> RgbImage:
    """The picture in `light` times its light. `noise`: deviation of the sensor's own noise, as a share of white."""
    linear = (rgb / 255.0) ** _GAMMA * light
    if noise:
        linear = linear + np.random.default_rng(seed).normal(0, noise, rgb.shape)
    return np.asarray(np.rint(255 * np.clip(linear, 0, 1) ** (1 / _GAMMA)), np.uint8)

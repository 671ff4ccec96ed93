"""Effects of every camera: exposure, colour cast, softness, noise; and the motion of the hand that holds it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from core.types import RgbImage

Image = npt.NDArray[np.float32]
"""(height, width, 3), RGB, linear in the camera's own 0..255."""

_FIELD = 1500
"""Side of the noise field in pixels; larger than any frame here."""


@dataclass(frozen=True, slots=True)
class Camera:
    """`gain` and `gamma` are the light level, `cast` factors of the three colours, `softness` the
    radius of the lens in pixels, `noise` the sensor's deviation at mid grey, 0..255."""

    gain: float = 1.0
    gamma: float = 1.0
    cast: tuple[float, float, float] = (1.0, 1.0, 1.0)
    softness: float = 0.0
    noise: float = 1.5

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Camera:
        warmth = rng.normal(0.0, 0.04)
        return cls(
            gain=float(rng.uniform(0.75, 1.2)),
            gamma=float(rng.uniform(0.85, 1.2)),
            cast=(1.0 + warmth, 1.0, 1.0 - warmth),
            softness=float(rng.choice([0.0, 0.0, 0.5, 0.8])),
            noise=float(rng.uniform(0.8, 3.0)),
        )

    def capture(self, image: Image | RgbImage, rng: np.random.Generator) -> RgbImage:
        """One exposure; the noise is new each time, and grows with the light as photons do."""
        lit = np.asarray(image, np.float32)
        if self.softness:
            lit = cv2.GaussianBlur(lit, (0, 0), self.softness).astype(np.float32, copy=False)
        if self.gain != 1.0 or self.gamma != 1.0:
            lit = np.asarray(255.0 * np.clip(lit * (self.gain / 255.0), 0.0, 1.0) ** self.gamma, np.float32)
        lit = lit * np.array(self.cast, np.float32)
        spread = self.noise * np.sqrt(0.3 + lit * (0.7 / 128.0))
        exposed = lit + spread * _noise((lit.shape[0], lit.shape[1]), rng) + 0.5
        return np.asarray(np.clip(exposed, 0, 255), np.uint8)


def _noise(size: tuple[int, int], rng: np.random.Generator) -> Image:
    """Unit noise, cut for each colour at a random place of one large field: far cheaper than fresh noise."""
    height, width = size
    field = _field()
    tops = rng.integers(0, _FIELD - height, 3)
    lefts = rng.integers(0, _FIELD - width, 3)
    return np.dstack([field[y : y + height, x : x + width] for y, x in zip(tops, lefts, strict=True)])


@cache
def _field() -> npt.NDArray[np.float32]:
    """The field of unit noise, slightly correlated as after demosaicing."""
    field = cv2.GaussianBlur(np.random.default_rng(0).standard_normal((_FIELD, _FIELD), np.float32), (3, 3), 0.6)
    return np.asarray(field / field.std(), np.float32)


class Wander:
    """A smooth random motion about zero: slow drift and the 4 to 9 Hz tremor of hands."""

    def __init__(self, rng: np.random.Generator, amplitude: float, tremor: float = 0.0) -> None:
        slow = [(amplitude * share, rng.uniform(0.08, 0.7)) for share in (0.6, 0.3, 0.2)]
        fast = [(tremor, rng.uniform(4.0, 9.0))]
        self._waves = [(size, rate, rng.uniform(0.0, 2 * math.pi)) for size, rate in slow + fast]

    def at(self, seconds: float) -> float:
        return float(sum(size * math.sin(2 * math.pi * rate * seconds + phase) for size, rate, phase in self._waves))

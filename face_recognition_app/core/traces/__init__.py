"""What a frame shows of paper, displays and skin: the few numbers of many pixels that the liveness cues weigh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.traces.border import border_strength
from core.traces.moire import moire_peak
from core.traces.skin import SkinSamples, sample_skin
from core.traces.thumbnail import Thumbnail, thumbnail
from core.types import MeshFace, RgbImage

Colour = npt.NDArray[np.float32]
"""(3,): red, green and blue, 0..255."""


@dataclass(frozen=True, slots=True)
class Surface:
    """The dearer ones, for some frames only: `border` and `moire` as their modules measure them."""

    border: float
    moire: float | None


@dataclass(frozen=True, slots=True)
class Traces:
    """Of the most prominent face's frame."""

    skin: SkinSamples
    colour: Colour
    thumbnail: Thumbnail


def trace(rgb: RgbImage, face: MeshFace) -> Traces:
    samples, colour = sample_skin(rgb, face)
    return Traces(samples, colour, thumbnail(rgb))


def look_at_surface(rgb: RgbImage, face: MeshFace) -> Surface:
    return Surface(border_strength(rgb, face), moire_peak(rgb, face))


__all__ = ["Colour", "SkinSamples", "Surface", "Thumbnail", "Traces", "look_at_surface", "trace"]

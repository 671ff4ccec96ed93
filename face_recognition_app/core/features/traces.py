"""What a frame shows of skin, shoulders and displays: the few numbers of many pixels that the liveness cues weigh."""

from __future__ import annotations

from dataclasses import dataclass

from core.features.moire import moire_peak
from core.features.skin_samples import SkinSamples, sample_skin
from core.features.thumbnail import Thumbnail, thumbnail
from core.imaging.alignment import AlignedFace
from core.types import MeshFace, RgbImage


@dataclass(frozen=True, slots=True)
class Traces:
    """Of the most prominent face's frame."""

    skin: SkinSamples
    thumbnail: Thumbnail


def trace(rgb: RgbImage, face: MeshFace, aligned: AlignedFace) -> Traces:
    return Traces(sample_skin(aligned, face), thumbnail(rgb))


__all__ = ["SkinSamples", "Thumbnail", "Traces", "moire_peak", "trace"]

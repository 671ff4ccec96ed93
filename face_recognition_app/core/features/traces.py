"""Samples of skin and body: all that the skin and body cues need of a frame's pixels."""

from __future__ import annotations

from core.features.skin_samples import sample_skin
from core.features.thumbnail import thumbnail
from core.features.values import Traces
from core.imaging.alignment import AlignedFace
from core.types import MeshFace, RgbImage


def trace(rgb: RgbImage, face: MeshFace, aligned: AlignedFace) -> Traces:
    return Traces(sample_skin(aligned, face), thumbnail(rgb))

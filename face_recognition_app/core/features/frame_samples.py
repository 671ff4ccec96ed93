"""Samples of skin and body: all that the skin and body cues need of a frame's pixels."""

from __future__ import annotations

from core.features.skin_samples import sample_skin
from core.features.thumbnail import thumbnail
from core.features.values import FrameSamples
from core.imaging.alignment import AlignedFace
from core.types import MeshFace, RgbImage


def sample_frame(rgb: RgbImage, face: MeshFace, aligned: AlignedFace) -> FrameSamples:
    return FrameSamples(sample_skin(aligned, face), thumbnail(rgb))

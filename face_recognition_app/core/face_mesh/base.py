"""Interface of every FaceMesh backend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from core.face_mesh.tracking import UNTRACKED, Tracking
from core.geometry import extent
from core.types import Detail, MeshFace, RgbImage

MAX_FACES = 16
"""Faces that any search finds at most."""


@dataclass(frozen=True, slots=True)
class MeshModels:
    """`landmarker`: a face_landmarker.task, a zip of networks. `light`: face_landmark.tflite."""

    landmarker: Path
    light: Path


@dataclass(frozen=True, slots=True)
class Search:
    """How to look for faces: `max_faces`, and how many times to look closer, at twice the scale each time, while none
    is found."""

    max_faces: int
    closer_looks: int


IN_SESSION = Search(max_faces=2, closer_looks=1)
"""One face more than a session accepts, to detect a second one; down to a fifteenth of the frame's larger side."""


class FaceMesh(Protocol):
    def process(
        self,
        rgb: RgbImage,
        tracking: Tracking = UNTRACKED,
        detail: Detail = Detail.FULL,
        search: Search = IN_SESSION,
    ) -> list[MeshFace]:
        """Find the most prominent faces of one frame, most prominent first.

        Searches the regions in `tracking` first. A mesh may give more than `detail` asks. Blocks; not thread-safe;
        keeps no state.
        """

    def close(self) -> None: ...


def prominence(face: MeshFace, rgb: RgbImage) -> float:
    """Prominence of a face: its area in pixels, weighted by its distance from the centre of the frame.

    The weight falls linearly from 1 at the centre to 0 at the corners.
    """
    low, high = extent(face.points)
    half_diagonal = np.array([rgb.shape[1], rgb.shape[0]]) / 2
    offset = np.linalg.norm((low + high) / 2 - half_diagonal) / np.linalg.norm(half_diagonal)
    return float(np.prod(high - low) * max(0.0, 1.0 - offset))

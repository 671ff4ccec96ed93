"""Interface of every FaceMesh backend."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from core.face_mesh.tracking import UNTRACKED, Tracking
from core.geometry import extent
from core.types import Detail, MeshFace, RgbImage

MAX_FACES = 2
"""One more than a session accepts, so that a second face is seen."""


@dataclass(frozen=True, slots=True)
class MeshModels:
    """`landmarker`: a face_landmarker.task, a zip of networks. `light`: face_landmark.tflite."""

    landmarker: Path
    light: Path


class FaceMesh(Protocol):
    def process(self, rgb: RgbImage, tracking: Tracking = UNTRACKED, detail: Detail = Detail.FULL) -> list[MeshFace]:
        """The faces of one frame, most prominent first, at most MAX_FACES.

        A mesh may look closer than `detail` asks. With `tracking` faces are looked for where they were. Blocks; one
        thread at a time; remembers nothing.
        """

    def close(self) -> None: ...


def prominence(face: MeshFace, rgb: RgbImage) -> float:
    """How much a face is the one in front of the camera: its area in pixels, less the further it is from the middle.

    Falls to nothing at the corners of the frame.
    """
    low, high = extent(face.points)
    half_diagonal = np.array([rgb.shape[1], rgb.shape[0]]) / 2
    offset = np.linalg.norm((low + high) / 2 - half_diagonal) / np.linalg.norm(half_diagonal)
    return float(np.prod(high - low) * max(0.0, 1.0 - offset))

"""What every FaceMesh backend offers."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from core.face_mesh.tracking import UNTRACKED, Tracking
from core.types import MeshFace, RgbImage

MAX_FACES = 2
"""One more than a session accepts, so that a second face is seen."""


class FaceMesh(Protocol):
    def process(self, rgb: RgbImage, tracking: Tracking = UNTRACKED) -> list[MeshFace]:
        """The faces of one frame, most prominent first, at most MAX_FACES.

        With `tracking` they are looked for where they were. Blocks; one thread at a time; remembers nothing.
        """

    def close(self) -> None: ...


def prominence(face: MeshFace, rgb: RgbImage) -> float:
    """How much a face is the one in front of the camera: its area in pixels, less the further it is from the middle.

    Falls to nothing at the corners of the frame.
    """
    low, high = face.points[:, :2].min(axis=0), face.points[:, :2].max(axis=0)
    half_diagonal = np.array([rgb.shape[1], rgb.shape[0]]) / 2
    offset = np.linalg.norm((low + high) / 2 - half_diagonal) / np.linalg.norm(half_diagonal)
    return float(np.prod(high - low) * max(0.0, 1.0 - offset))

"""What every FaceMesh backend offers."""

from __future__ import annotations

from typing import Protocol

from core.types import MeshFace, RgbImage

MAX_FACES = 2
"""One more than a session accepts, so that a second face is seen."""


class FaceMesh(Protocol):
    def process(self, rgb: RgbImage) -> list[MeshFace]:
        """The faces of one frame, largest first, at most MAX_FACES. Blocks; one thread at a time."""

    def close(self) -> None: ...

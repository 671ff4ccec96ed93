"""FaceMesh backends. One is chosen by name; each is stateless from frame to frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.face_mesh.base import FaceMesh
from core.face_mesh.mediapipe_mesh import MediaPipeFaceMesh

BACKENDS: dict[str, Callable[[Path], FaceMesh]] = {"mediapipe": MediaPipeFaceMesh}

__all__ = ["BACKENDS", "FaceMesh", "MediaPipeFaceMesh"]

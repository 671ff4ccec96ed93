"""Where the models of the tests are."""

from __future__ import annotations

from pathlib import Path

from core.face_mesh import MeshModels


def mesh_models(directory: Path) -> MeshModels:
    return MeshModels(directory / "face_landmarker.task", directory / "face_landmark.tflite")

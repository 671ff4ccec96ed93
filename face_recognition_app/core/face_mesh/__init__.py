"""FaceMesh backends, chosen by name. None keeps state between frames."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from core.face_mesh.base import IN_SESSION, MAX_FACES, FaceMesh, MeshModels, Search, prominence
from core.face_mesh.tracking import UNTRACKED, Tracking


def mesh_factory(backend: str, models: MeshModels, threads: int = 1) -> Callable[[], FaceMesh]:
    """Factory of instances of the named backend, for at least `threads` that compute at once. Raises ValueError.

    Imports only what that backend needs.
    """
    if backend == "openvino":
        from core.face_mesh.openvino_mesh import MeshNetworks, OpenVinoFaceMesh

        return partial(OpenVinoFaceMesh, MeshNetworks.load(models, threads))
    if backend == "mediapipe":
        from core.face_mesh.bundle import read_detector, unpacked
        from core.face_mesh.mediapipe_mesh import MediaPipeFaceMesh

        with unpacked(models.landmarker) as files:
            return partial(MediaPipeFaceMesh, models.landmarker, read_detector(files, threads))
    raise ValueError(f"there is no FaceMesh backend {backend!r}")


__all__ = [
    "IN_SESSION",
    "MAX_FACES",
    "UNTRACKED",
    "FaceMesh",
    "MeshModels",
    "Search",
    "Tracking",
    "mesh_factory",
    "prominence",
]

"""FaceMesh backends. One is chosen by name; none remembers anything from frame to frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from core.face_mesh.base import FaceMesh, MeshModels
from core.face_mesh.tracking import UNTRACKED, Tracking


def mesh_factory(backend: str, models: MeshModels, threads: int = 1) -> Callable[[], FaceMesh]:
    """What makes one instance of the named backend, of which `threads` compute at once (a backend may allow more).

    Only that backend's library is imported.
    """
    if backend == "openvino":
        from core.face_mesh.openvino_mesh import MeshNetworks, OpenVinoFaceMesh

        return partial(OpenVinoFaceMesh, MeshNetworks.load(models, threads))
    if backend == "mediapipe":
        from core.face_mesh.mediapipe_mesh import MediaPipeFaceMesh

        return partial(MediaPipeFaceMesh, models.landmarker)
    raise ValueError(f"there is no FaceMesh backend {backend!r}")


__all__ = ["UNTRACKED", "FaceMesh", "MeshModels", "Tracking", "mesh_factory"]

"""Real models by themselves, and real faces as a webcam frames them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.face_mesh import FaceMesh, mesh_factory
from core.types import MeshFace, RgbImage
from recognition.worker import Worker
from testkit.faces.portrait import Portrait, framed
from tests.models import mesh_models


@pytest.fixture(scope="session")
def model_dir(worker: Worker) -> Path:
    return worker.settings.model_dir


@pytest.fixture(scope="session")
def mesh(model_dir: Path) -> Iterator[FaceMesh]:
    """One instance of our own, not a pooled one."""
    mesh = mesh_factory("openvino", mesh_models(model_dir))()
    yield mesh
    mesh.close()


@pytest.fixture(scope="session")
def good_picture(astronaut_rgb: RgbImage, mesh: FaceMesh) -> RgbImage:
    """640x480, one sharp, well lit face in the middle that looks at the camera."""
    return framed(astronaut_rgb, mesh)


@pytest.fixture(scope="session")
def portrait(good_picture: RgbImage, mesh: FaceMesh) -> Portrait:
    return Portrait(good_picture, mesh)


@pytest.fixture(scope="session")
def face(good_picture: RgbImage, mesh: FaceMesh) -> MeshFace:
    """Of the good picture."""
    return mesh.process(good_picture)[0]

"""Two tenants, real faces, and workers that differ in one setting or in their meshes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

import database.clock
from core.face_mesh import FaceMesh
from core.types import Embedding, RgbImage
from gallery.people import Sample
from recognition.worker import Worker
from tenants.keys import create_tenant
from testkit.clips import encode_jpeg
from testkit.faces.covers import draw
from testkit.other_network import write_other_network
from testkit.recognised import recognised
from tests.enrolling import enroll
from tests.recognition.failing import Clock
from tests.recognition.support import Backend, Faces, Gate, http_client, service, with_meshes, with_settings

Configure = Callable[..., Worker]
UseMeshes = Callable[..., Worker]


@pytest.fixture(autouse=True)
def served(request: pytest.FixtureRequest) -> Iterator[None]:
    """The application in this process, with the real worker until a fixture below replaces it."""
    if "worker" in request.fixturenames:
        service.worker = request.getfixturevalue("worker")
    yield
    service.worker = None


@pytest.fixture
def backend(transactional_db: None, worker: Worker) -> Backend:
    return Backend(*create_tenant("acme"))


@pytest.fixture
def rival(backend: Backend) -> Backend:
    return Backend(*create_tenant("rival"))


@pytest.fixture
def alice(worker: Worker, backend: Backend, astronaut_embedding: Embedding) -> Backend:
    """The backend, with alice enrolled."""
    deciding = worker.deciding
    enroll(backend.tenant, "alice", [Sample(astronaut_embedding, 1.0)], deciding.gallery, deciding.rules)
    return backend


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that all processes agree on, frozen. Leases go on by the monotonic clock."""
    frozen = Clock()
    monkeypatch.setattr(database.clock, "now", frozen)
    monkeypatch.setattr(database.clock, "in_query", frozen)
    return frozen


@pytest.fixture
async def api(backend: Backend) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(backend.key) as client:
        yield client


@pytest.fixture
async def rival_api(rival: Backend) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(rival.key) as client:
        yield client


@pytest.fixture
def configure(worker: Worker) -> Configure:
    """Runs the service with some settings changed, until the test ends."""

    def change(**settings: Any) -> Worker:
        changed = with_settings(worker, **settings)
        service.worker = changed
        return changed

    return change


@pytest.fixture
def use_meshes(worker: Worker) -> Iterator[UseMeshes]:
    """Runs the service over a pool of given meshes, until the test ends."""
    made: list[Worker] = []

    def use(make_mesh: Callable[[], FaceMesh], size: int = 1, timeout_s: float = 5.0, of: Worker = worker) -> Worker:
        changed = with_meshes(of, make_mesh, size, timeout_s)
        made.append(changed)
        service.worker = changed
        return changed

    yield use
    for changed in made:
        changed.executor.close()
        changed.engine.close()


@pytest.fixture(scope="session")
def both_embedders(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A real worker whose embedder is another, and the pinned one the former."""
    pinned = worker.settings.model_dir / "fr_feature.onnx"
    network = write_other_network(pinned, tmp_path_factory.mktemp("network") / "other.onnx")
    both = Worker.start(worker.settings.model_copy(update={"embedder": network, "former_embedder": "pinned"}))
    yield both
    both.close()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture(scope="session")
def faces(worker: Worker, astronaut_rgb: RgbImage, hopper_rgb: RgbImage) -> Faces:
    face = worker.engine.detector.safe_process(astronaut_rgb)[0]
    again = np.asarray(cv2.resize(astronaut_rgb[:300, 60:400], None, fx=1.2, fy=1.2), np.uint8)
    heads = astronaut_rgb[:260, 90:350], hopper_rgb[60:400, 80:420]
    both = np.asarray(np.hstack([cv2.resize(head, (400, 400)) for head in heads]), np.uint8)
    return Faces(
        astronaut=encode_jpeg(astronaut_rgb),
        astronaut_again=encode_jpeg(again, 70),
        hopper=encode_jpeg(hopper_rgb),
        both=encode_jpeg(both),
        nobody=encode_jpeg(np.full((480, 640, 3), 120, np.uint8)),
        on_its_side=encode_jpeg(np.ascontiguousarray(np.rot90(astronaut_rgb))),
        masked=encode_jpeg(draw("mask", astronaut_rgb, face, np.random.default_rng(0))),
    )


@pytest.fixture(scope="session")
def astronaut_embedding(worker: Worker, faces: Faces) -> Embedding:
    return recognised(worker.engine.embed(worker.engine.analyse(faces.astronaut, worker.limits)))


@pytest.fixture(scope="session")
def hopper_embedding(worker: Worker, faces: Faces) -> Embedding:
    return recognised(worker.engine.embed(worker.engine.analyse(faces.hopper, worker.limits)))

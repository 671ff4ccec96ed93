"""A mesh failure costs its frame and nothing else."""

from __future__ import annotations

import pytest

from core.face_mesh import IN_SESSION, UNTRACKED, FaceMesh, Search, Tracking
from core.types import Detail, MeshFace, RgbImage
from recognition.worker import Worker
from tests.recognition.conftest import UseMeshes
from tests.recognition.support import Backend, Faces, RaisingMesh, RealMesh, connect, token

pytestmark = pytest.mark.usefixtures("unblocked_loop")


class LosingMesh(RealMesh):
    """Fails wherever it is sent to look."""

    def process(
        self,
        rgb: RgbImage,
        tracking: Tracking = UNTRACKED,
        detail: Detail = Detail.FULL,
        search: Search = IN_SESSION,
    ) -> list[MeshFace]:
        if tracking.faces:
            raise RuntimeError("nothing can be cut out there")
        return super().process(rgb, tracking, detail)


async def test_a_mesh_that_raises_costs_one_frame(
    backend: Backend, faces: Faces, worker: Worker, use_meshes: UseMeshes
) -> None:
    meshes: list[FaceMesh] = [RaisingMesh(worker.engine), RealMesh(worker.engine)]
    changed = use_meshes(lambda: meshes.pop(0))
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        error = await socket.ask(faces.astronaut)
        assert (error["type"], error["retryable"], error["seq"]) == ("error", True, 1)
        assert error["retry_after_ms"] > 0
        answer = await socket.ask(faces.astronaut)
    assert (answer["type"], answer["samples"]["accepted"]) == ("frame_processed", 1)
    status = changed.engine.pool_status()
    assert (status.pool_size, status.in_use, status.recycled_total) == (1, 0, 1)


async def test_a_session_is_not_stuck_where_a_mesh_failed_to_look(
    backend: Backend, faces: Faces, worker: Worker, use_meshes: UseMeshes
) -> None:
    use_meshes(lambda: LosingMesh(worker.engine))
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        answers = [await socket.ask(faces.astronaut) for _ in range(3)]
    assert [answer["type"] for answer in answers] == ["frame_processed", "error", "frame_processed"]

"""Stuck work shows in the status, and ends the worker when no thread is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from monitoring import watchdog as watchdogs
from recognition import watching
from recognition.worker import Worker
from scheduling.threads import StartedThreads
from tests.recognition.conftest import Configure, UseMeshes
from tests.recognition.support import Backend, Faces, Gate, GatedMesh, became, connect, token

AT_ONCE_MS = 1


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """A list that grows when the process would be ended."""
    ends: list[None] = []
    monkeypatch.setattr(watching, "end_this_process", lambda: ends.append(None))
    monkeypatch.setattr(watching, "CHECK_INTERVAL_S", 0.01)
    return ends


@asynccontextmanager
async def watched(worker: Worker) -> AsyncIterator[None]:
    with StartedThreads(1, "loop") as loop_threads:
        watch = asyncio.create_task(watching.run_watchdog(worker, loop_threads))
        yield
        watch.cancel()


async def test_a_stuck_mesh_is_named_told_by_readiness_and_ends_the_worker(
    backend: Backend,
    faces: Faces,
    worker: Worker,
    configure: Configure,
    use_meshes: UseMeshes,
    gate: Gate,
    ends: list[None],
    api: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    changed = use_meshes(lambda: GatedMesh(worker.engine, gate), of=configure(stuck_after_ms=AT_ONCE_MS))
    async with connect(await token(worker, backend)) as socket:
        session = (await socket.greeted())["session_id"]
        await socket.send(faces.astronaut)
        await gate.somebody_arrived()
        async with watched(changed):
            await became(lambda: bool(ends), "the worker was ended")
            stuck = await api.get("/api/ready/")
            assert (stuck.status_code, stuck.json()["components"]["compute"]) == (503, "stuck")
            assert (await api.get("/api/health/")).status_code == 200
            gate.open()
            assert (await socket.receive())["type"] == "frame_processed", "who was stuck and is not is answered"
            await became(lambda: "no longer stuck: a frame" in caplog.text, "the end of it was told")
        assert (await api.get("/api/ready/")).json()["components"]["compute"] == "ok"
    assert ends == [None]
    named = f"stuck: a frame of session {session} of tenant {backend.tenant.pk} (request "
    assert caplog.text.count(named) == 2, "when it was found, and when it ended"
    assert "in pass_through" in caplog.text, "where it was"


async def test_while_one_thread_is_left_nobody_is_cut_off(
    backend: Backend,
    faces: Faces,
    worker: Worker,
    configure: Configure,
    use_meshes: UseMeshes,
    gate: Gate,
    ends: list[None],
    api: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    meshes = [GatedMesh(worker.engine, gate), GatedMesh(worker.engine, gate)]
    changed = use_meshes(lambda: meshes.pop(), size=2, of=configure(stuck_after_ms=AT_ONCE_MS))
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await socket.send(faces.astronaut)
        await gate.somebody_arrived()
        async with watched(changed):
            await became(lambda: "stuck: a frame" in caplog.text, "it was named")
            await asyncio.sleep(2 * watchdogs.CHECKS_BEFORE_END * 0.01)
        assert (await api.get("/api/ready/")).json()["components"]["compute"] == "ok"
        gate.open()
        assert (await socket.receive())["type"] == "frame_processed"
    assert ends == []


async def test_a_stuck_upload_is_named_by_its_tenant_and_its_request(
    backend: Backend,
    faces: Faces,
    worker: Worker,
    configure: Configure,
    use_meshes: UseMeshes,
    gate: Gate,
    ends: list[None],
    api: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    changed = use_meshes(lambda: GatedMesh(worker.engine, gate), of=configure(stuck_after_ms=AT_ONCE_MS))
    upload = {"image": ("face.jpg", faces.astronaut, "image/jpeg")}
    asked = asyncio.create_task(api.post("/api/v1/faces/detect/", files=upload, headers={"x-request-id": "mine"}))
    await gate.somebody_arrived()
    async with watched(changed):
        named = f"stuck: a picture of tenant {backend.tenant.pk} (request mine) on thread frame_0"
        await became(lambda: named in caplog.text, "it was named")
    gate.open()
    assert (await asked).status_code == 200

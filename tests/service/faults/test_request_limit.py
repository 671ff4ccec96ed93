"""A worker that has served its requests is replaced, and nobody loses a session by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from testkit.service import LiveService, running_service
from testkit.stream_client import play
from tests.conftest import needs_shared_data
from tests.service.faults.test_reload import settled, workers
from tests.service.sessions.streams import clip, jpegs, run_to_the_end

LIMIT, JITTER = 20, 4
PROBES = ("/api/health/", "/api/ready/", "/api/pool/status/", "/metrics")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[LiveService]:
    environment = {
        "GUNICORN_MAX_REQUESTS": f"{LIMIT}",
        "GUNICORN_MAX_REQUESTS_JITTER": f"{JITTER}",
        "FACE_DRAIN_S": "1",
    }
    with running_service(tmp_path, workers=1, pool_size=1, environment=environment) as service:
        yield service


@needs_shared_data
async def test_who_was_served_by_it_goes_on_in_another(service: LiveService) -> None:
    before = await settled(service, 1)
    for _ in range(2 * LIMIT):
        for path in PROBES:
            assert service.get(path).status_code == 200
    assert workers(service) == before, "probes replace nobody"

    frames = jpegs(clip("id2_vcd_swwp2s"))
    async with service.client() as client:
        created = await client.create_session("enrollment", "pwij3p")
        async with connect(created.websocket_url, compression=None) as socket:
            await socket.recv()
            await socket.send(frames[0])
            assert json.loads(await socket.recv())["type"] == "frame_processed"
            for _ in range(LIMIT + JITTER):
                assert service.get("/api/v1/subjects/").status_code == 200
            assert await told_before_the_end(socket) == "server_draining"
            assert socket.close_code == 1012
        assert not await settled(service, 1) & before
        resumed = await play(created.websocket_url, frames[1:])
        session = await client.session(created.id)
    assert resumed.messages[0]["resumed"] is True
    assert resumed.completed is not None, resumed.messages[-1]
    assert session["status"] == "succeeded"
    assert (await run_to_the_end(service, "authentication", frames, "pwij3p"))["success"]
    assert "the limit of GUNICORN_MAX_REQUESTS" in service.log.read_text()
    assert "Traceback" not in service.log.read_text()


async def told_before_the_end(socket: ClientConnection) -> str:
    told = ""
    try:
        while True:
            told = json.loads(await socket.recv())["type"]
    except ConnectionClosed:
        return told

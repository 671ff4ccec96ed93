"""The same service on PostgreSQL and Redis: one variable each."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect

from testkit.servers import postgresql, redis_server
from testkit.service import LiveService, running_service
from tests.conftest import needs_shared_data
from tests.service.sessions.streams import clip, jpegs, run_to_the_end

pytestmark = [
    needs_shared_data,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed"),
]

LONGER_THAN_A_SOCKET_TIMEOUT_S = 6.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    directory = tmp_path_factory.mktemp("servers")
    with (
        postgresql() as database,
        redis_server(directory) as redis_url,
        running_service(
            directory,
            workers=2,
            pool_size=2,
            environment={"DATABASE_URL": database.url, "REDIS_URL": redis_url},
        ) as service,
    ):
        yield service


def test_every_component_is_ready(service: LiveService) -> None:
    components = service.get("/api/ready/").json()["components"]
    assert components.pop("anti_spoof") in ("ok", "one_network")
    assert components.keys() == {"models", "database", "migrations", "data_dir", "run_dir", "redis", "compute"}
    assert set(components.values()) == {"ok"}


async def test_the_main_job_works_the_same(service: LiveService) -> None:
    enrolled = await run_to_the_end(service, "enrollment", jpegs(clip("pwij3p")), "pwij3p")
    assert enrolled["success"], enrolled["reason"]
    identified = await run_to_the_end(service, "identification", jpegs(clip("id2_vcd_swwp2s")))
    assert identified["subject_id"] == "pwij3p"
    stranger = await run_to_the_end(service, "identification", jpegs(clip("lbax4n")))
    assert stranger["reason"] == "no_match"
    twice = await run_to_the_end(service, "enrollment", jpegs(clip("id2_vcd_swwp2s")), "other")
    assert twice["reason"] == "duplicate_face"


async def test_an_idle_socket_stays_open(service: LiveService) -> None:
    async with service.client() as client:
        created = await client.create_session("identification")
    async with connect(created.websocket_url, compression=None) as socket:
        await socket.recv()
        await asyncio.sleep(LONGER_THAN_A_SOCKET_TIMEOUT_S)
        await socket.send(json.dumps({"type": "ping"}))
        assert json.loads(await socket.recv()) == {"type": "pong"}

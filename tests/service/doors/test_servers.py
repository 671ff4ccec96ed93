"""The same service on PostgreSQL and Redis: one variable each."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from websockets.asyncio.client import connect

from testkit import loopback
from testkit.patience import PATIENCE_S
from testkit.servers import PostgreSQL, postgresql, redis_server
from testkit.service import LiveService, running_service
from tests.conftest import needs_shared_data
from tests.service.sessions.streams import clip, jpegs, run_to_the_end

pytestmark = [
    needs_shared_data,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed"),
]

LONGER_THAN_A_SOCKET_TIMEOUT_S = 6.0


@pytest.fixture(scope="module")
def database() -> Iterator[PostgreSQL]:
    with postgresql() as server:
        yield server


@pytest.fixture(scope="module")
def service(database: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    directory = tmp_path_factory.mktemp("servers")
    with (
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


LOCK_THE_PHONE = """
    INSERT INTO recognition_failedattempts (tenant_id, kind, key, failed_at, locked_until, stale_at)
    SELECT tenant_id, 'device', 'phone', '[]', now() + interval '1 hour', now() + interval '1 hour'
    FROM recognition_session WHERE id = %s
"""


async def test_what_is_left_of_a_lock_is_told_by_the_databases_clock(
    service: LiveService, database: PostgreSQL
) -> None:
    made = bearer(service.api_key, service, "/api/v1/sessions/", kind="identification", device_id="phone").json()
    with psycopg.connect(database.url) as server:
        server.execute(LOCK_THE_PHONE, [made["id"]])
    async with connect(made["websocket_url"], compression=None) as socket:
        done = json.loads(await socket.recv())
    assert done["reason"] == "attempts_exceeded"
    assert 0 < done["retry_after_ms"] <= 3_600_000
    refused = bearer(service.api_key, service, "/api/v1/sessions/", kind="identification", device_id="phone")
    assert 0 < refused.json()["error"]["details"]["retry_after_s"] <= 3_600


def test_an_access_token_lives_no_longer_than_its_key(service: LiveService) -> None:
    issued = bearer(service.api_key, service, "/api/v1/keys/", scopes=["read"], expires_in_s=600).json()
    answer = bearer(issued["api_key"], service, "/api/v1/auth/token/")
    assert 0 < answer.json()["expires_in"] <= 600


def bearer(key: str, service: LiveService, path: str, **body: Any) -> httpx.Response:
    """POST to the service with this key."""
    headers = {"authorization": f"Bearer {key}"}
    return loopback.post(service.base_url + path, headers=headers, json=body or None, timeout=PATIENCE_S)


async def test_an_idle_socket_stays_open(service: LiveService) -> None:
    async with service.client() as client:
        created = await client.create_session("identification")
    async with connect(created.websocket_url, compression=None) as socket:
        await socket.recv()
        await asyncio.sleep(LONGER_THAN_A_SOCKET_TIMEOUT_S)
        await socket.send(json.dumps({"type": "ping"}))
        assert json.loads(await socket.recv()) == {"type": "pong"}

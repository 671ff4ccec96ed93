from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import httpx
import pytest

from config.settings import load
from logs import request_id
from web.access.status_access import StatusAccess
from web.probes import Probes
from web.served import STATE_KEY, ServedRequests

SEEN_BY_THE_APPLICATION = 299


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Application behind the probes that records what reaches it."""
    await send({"type": "http.response.start", "status": SEEN_BY_THE_APPLICATION, "headers": []})
    await send({"type": "http.response.body", "body": request_id.current.get().encode()})


async def nobody(scope: object, token: str) -> bool:
    return False


class Components:
    def __init__(self) -> None:
        self.report = {"models": "ok", "database": "ok"}
        self.asked = 0

    async def __call__(self, scope: object) -> dict[str, str]:
        self.asked += 1
        return self.report


@pytest.fixture
def components() -> Components:
    return Components()


@pytest.fixture
async def client(tmp_path: Path, components: Components) -> AsyncIterator[httpx.AsyncClient]:
    settings = load({"FACE_DATA_DIR": str(tmp_path)})
    probes: Any = Probes(application, settings, components, StatusAccess(settings, nobody))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(probes), base_url="http://service") as client:
        yield client


async def test_health_is_ok_and_does_no_work(client: httpx.AsyncClient, components: Components) -> None:
    components.report = {"database": "OperationalError"}
    answer = await client.get("/api/health/")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert answer.json()["pid"] == os.getpid()
    assert components.asked == 0


async def test_ready_when_every_component_is_ok(client: httpx.AsyncClient, components: Components) -> None:
    answer = await client.get("/api/ready/")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "components": components.report}


async def test_not_ready_says_which_component_and_what(client: httpx.AsyncClient, components: Components) -> None:
    components.report = {"models": "ok", "migrations": "missing"}
    answer = await client.get("/api/ready/")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not_ready", "components": components.report}


async def test_the_pool_and_the_metrics_are_answered_before_any_worker_is_ready(client: httpx.AsyncClient) -> None:
    pool = await client.get("/api/pool/status/")
    assert (pool.status_code, pool.json()["status"]) == (200, "not_initialized")
    metrics = await client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert "face_pool_instances 0.0" in metrics.text


@pytest.mark.parametrize("path", ["/api/health/", "/api/ready/", "/api/pool/status/", "/metrics"])
async def test_a_probe_is_not_cached_and_head_has_no_body(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.headers["cache-control"] == "no-store"
    head = await client.head(path)
    assert (head.status_code, head.content) == (answer.status_code, b"")
    assert int(head.headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/health"), ("GET", "/api/health"), ("GET", "/"), ("GET", "/api/v1/sessions/")]
)
async def test_every_other_path_goes_to_the_application(client: httpx.AsyncClient, method: str, path: str) -> None:
    assert (await client.request(method, path)).status_code == SEEN_BY_THE_APPLICATION


async def test_a_probe_takes_get_and_head_only(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/health/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD"


async def test_requests_are_counted_and_probes_are_not(tmp_path: Path) -> None:
    settings = load({"FACE_DATA_DIR": str(tmp_path)})
    probes: Any = Probes(application, settings, Components(), StatusAccess(settings, nobody))
    state: dict[str, ServedRequests] = {}
    await probes({"type": "lifespan", "state": state}, None, AsyncMock())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(probes), base_url="http://service") as client:
        for path in ("/api/health/", "/api/ready/", "/api/pool/status/", "/metrics"):
            await client.get(path)
        assert state[STATE_KEY].total == 0
        for path in ("/", "/api/v1/sessions/"):
            await client.get(path)
    assert state[STATE_KEY].total == 2


async def test_a_refusal_carries_the_request_id(tmp_path: Path) -> None:
    settings = load({"FACE_ADMIN_BIND": "127.0.0.1:1", "FACE_DATA_DIR": str(tmp_path)})
    probes: Any = Probes(application, settings, Components(), StatusAccess(settings, nobody))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(probes), base_url="http://service") as client:
        answer = await client.get("/metrics", headers={"x-request-id": "trace-1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "trace-1"


@pytest.mark.parametrize("path", ["/api/health/", "/anything"])
async def test_every_answer_carries_the_request_id(client: httpx.AsyncClient, path: str) -> None:
    kept = await client.get(path, headers={"x-request-id": "trace-1"})
    assert kept.headers.get_list("x-request-id") == ["trace-1"]
    replaced = await client.get(path, headers={"x-request-id": "no good"})
    assert len(replaced.headers["x-request-id"]) == 32


async def test_the_application_knows_the_request_id(client: httpx.AsyncClient) -> None:
    answer = await client.get("/anything")
    assert answer.text == answer.headers["x-request-id"]
    assert request_id.current.get() == "-", "and it ends with the request"

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from face_app import asgi
from face_app.asgi import application
from monitoring.readiness import Report
from wire.asyncapi import document
from wire.errors import Unavailable


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """No test here has a worker, or the database: pytest-django refuses whoever asks for it."""
    served: Any = application  # httpx has types of its own for ASGI.
    transport = httpx.ASGITransport(served)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_the_probes_are_answered_without_a_database_and_without_a_worker(client: httpx.AsyncClient) -> None:
    for path in ("/api/health/", "/api/pool/status/", "/metrics"):
        assert (await client.get(path)).status_code == 200


async def test_without_a_worker_the_service_is_not_ready_and_says_which_part(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/ready/")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not_ready", "components": {"models": "unavailable"}}


async def test_a_connection_that_fails_when_it_is_given_back_is_not_ready(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail_at_the_end(check: Callable[[Report], None], report: Report) -> None:
        report["database"] = "ok"
        raise Unavailable("the database cannot be used now")

    worker = SimpleNamespace(
        is_stuck=False, database=SimpleNamespace(run=fail_at_the_end), engine=SimpleNamespace(spoof_networks=2)
    )
    monkeypatch.setattr(asgi, "in_scope", lambda scope: worker)
    answer = await client.get("/api/ready/")
    assert (answer.status_code, answer.json()["components"]["database"]) == (503, "unavailable")


async def test_the_sockets_document_is_served(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/asyncapi.json")).json() == document()


async def test_a_path_that_is_not_there_is_told_like_every_error(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/nothing/", headers={"x-request-id": "trace-1"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "trace-1"

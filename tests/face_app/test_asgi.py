from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from core.errors import ModelError
from face_app.asgi import application
from recognition import runtime as runtimes
from wire.asyncapi import document


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """No test here has the database: pytest-django refuses whoever asks for it."""
    served: Any = application  # httpx has types of its own for ASGI.
    transport = httpx.ASGITransport(served)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def no_models(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ModelError("no model")

    monkeypatch.setattr(runtimes, "current", fail)


@pytest.mark.usefixtures("no_models")
async def test_the_probes_are_answered_without_a_database_and_without_models(client: httpx.AsyncClient) -> None:
    for path in ("/api/health/", "/api/pool/status/", "/metrics"):
        assert (await client.get(path)).status_code == 200


@pytest.mark.usefixtures("no_models")
async def test_a_worker_without_models_is_not_ready_and_says_why(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/ready/")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not_ready", "components": {"models": "unavailable"}}


async def test_the_sockets_document_is_served(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/asyncapi.json")).json() == document()


async def test_a_path_that_is_not_there_is_told_like_every_error(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/v1/nothing/", headers={"x-request-id": "trace-1"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "trace-1"

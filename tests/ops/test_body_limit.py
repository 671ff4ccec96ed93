from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ops.body_limit import MAX_JSON_BYTES, BodyLimit

MAX_BYTES = 100_000
PICTURE = {"content-type": "image/jpeg"}


class Application:
    """Tells how many bytes came to it."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(len(body)).encode()})


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
async def client(application: Application) -> AsyncIterator[httpx.AsyncClient]:
    limited: Any = BodyLimit(application, MAX_BYTES)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(limited), base_url="http://service") as client:
        yield client


@pytest.mark.parametrize("size", [0, 1, MAX_BYTES])
async def test_what_is_allowed_reaches_the_application(client: httpx.AsyncClient, size: int) -> None:
    assert (await client.post("/", content=bytes(size), headers=PICTURE)).text == str(size)


async def test_one_byte_more_is_refused_before_it_is_read(client: httpx.AsyncClient, application: Application) -> None:
    answer = await client.post("/", content=bytes(MAX_BYTES + 1), headers=PICTURE)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")
    assert answer.headers["connection"] == "close"
    assert application.asked == 0


async def test_a_body_of_unknown_length_is_refused(client: httpx.AsyncClient, application: Application) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    answer = await client.post("/", content=chunks())
    assert (answer.status_code, answer.json()["error"]["code"]) == (411, "length_required")
    assert application.asked == 0


@pytest.mark.parametrize("length", ["-1", "1e3", "many", "9" * 30, "+5"])
async def test_a_length_that_is_none_is_refused(
    client: httpx.AsyncClient, application: Application, length: str
) -> None:
    answer = await client.post("/", content=b"x", headers={"content-length": length})
    assert answer.status_code == 413
    assert application.asked == 0


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
async def test_what_is_no_picture_stays_small(client: httpx.AsyncClient, application: Application, kind: str) -> None:
    headers = {"content-type": kind}
    assert (await client.post("/", content=bytes(MAX_JSON_BYTES), headers=headers)).status_code == 200
    assert (await client.post("/", content=bytes(MAX_JSON_BYTES + 1), headers=headers)).status_code == 413
    assert application.asked == 1

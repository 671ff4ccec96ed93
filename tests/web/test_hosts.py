from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from logs.advice import warn_once
from web.access.hosts import HOST_ADVICE, AllowedHosts

ALLOWED = ["face.example", ".sub.example", "[::1]"]


async def application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def no_such_host(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})


async def ask(host: str | None, allowed: list[str] = ALLOWED) -> httpx.Response:
    served: Any = AllowedHosts(application, allowed, no_such_host)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://face.example") as client:
        request = client.build_request("GET", "/", headers={} if host is None else {"host": host})
        return await client.send(request)


@pytest.mark.parametrize("host", ["face.example", "FACE.example:8003", "a.sub.example", "[::1]:8003"])
async def test_a_host_that_is_served_passes(host: str) -> None:
    assert (await ask(host)).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "face.example.evil", "face.example@evil", "a b", "", "x" * 20_000])
async def test_another_host_is_refused_with_one_line_in_the_log(host: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = await ask(host)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_request")
    assert answer.headers["connection"] == "close"
    ours = [record for record in caplog.records if record.name == "web.access.hosts" and record.levelno == logging.INFO]
    assert len(ours) == 1
    assert ours[0].exc_info is None


async def test_what_to_set_is_told_to_the_client_and_once_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    warn_once.cache_clear()
    for host in ("one.example", "another.example"):
        told = (await ask(host)).json()["error"]["message"]
        assert all(word in told for word in ("FACE_PUBLIC_URL", "FACE_ALLOWED_HOSTS", "proxy should pass Host"))
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [HOST_ADVICE]


@pytest.mark.parametrize("host", ["a b", "a/b", "<script>"])
async def test_an_invalid_host_is_refused_where_any_host_is_served(host: str) -> None:
    assert (await ask(host, ["*"])).status_code == 400
    assert (await ask("anything.example", ["*"])).status_code == 200


async def test_without_a_host_header_the_address_of_the_listener_counts() -> None:
    passed: list[str] = []

    async def tells(scope: Any, receive: Any, send: Any) -> None:
        passed.append(scope["server"][0])

    async def send(message: Any) -> None:
        passed.append(message.get("status", ""))

    served: Any = AllowedHosts(tells, ["127.0.0.1"], no_such_host)
    for server in ("127.0.0.1", "10.0.0.1"):
        await served({"type": "http", "headers": [], "server": (server, 80)}, None, send)
    assert passed == ["127.0.0.1", 400, ""]

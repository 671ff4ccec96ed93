from __future__ import annotations

from typing import Any

import httpx
import pytest

from config.public_url import PublicUrl
from web.public_prefix import PublicPrefix


async def told_path(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


async def ask(path: str, public_url: str | None = "https://face.example/on/face") -> httpx.Response:
    served: Any = PublicPrefix(told_path, None if public_url is None else PublicUrl.parse(public_url))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served), base_url="http://inside") as client:
        return await client.get(path)


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/on/face/", "/"),
        ("/on/face/api/docs", "/api/docs"),
        ("/api/health/", "/api/health/"),
        ("/", "/"),
        ("/on/facets", "/on/facets"),
        ("/on/face/on/face/", "/on/face/"),
    ],
)
async def test_the_prefix_is_taken_off_where_there_is_one(path: str, seen: str) -> None:
    assert (await ask(path)).text == seen


@pytest.mark.parametrize("public_url", [None, "https://face.example"])
async def test_without_a_prefix_every_path_stays(public_url: str | None) -> None:
    assert (await ask("/on/face/", public_url)).text == "/on/face/"


async def test_the_prefix_without_a_slash_leads_to_the_page() -> None:
    answer = await ask("/on/face")
    assert (answer.status_code, answer.headers["location"]) == (308, "https://face.example/on/face/")
    assert (await ask("/on/face", "https://face.example/on/face/")).status_code == 308


async def test_a_socket_has_its_prefix_taken_off_too() -> None:
    seen: list[str] = []

    async def note(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])

    served: Any = PublicPrefix(note, PublicUrl.parse("https://face.example/face"))
    for path in ("/face/ws/auth/process-image/t/", "/face", "/ws/auth/process-image/t/"):
        await served({"type": "websocket", "path": path}, None, None)
    assert seen == ["/ws/auth/process-image/t/", "/face", "/ws/auth/process-image/t/"]

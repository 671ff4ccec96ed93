from __future__ import annotations

from typing import Any

import httpx
import pytest

from config.settings import load
from web.strict_transport import StrictTransport

STRONG = "Zk3-unguessable-and-long-enough-9Qx7"


async def application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"kept")]})
    await send({"type": "http.response.body", "body": b"done"})


async def answer(url: str, max_age_s: int) -> httpx.Response:
    served: Any = StrictTransport(application, max_age_s)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(served)) as client:
        return await client.get(url)


async def test_an_answer_over_tls_carries_the_header() -> None:
    over_tls = await answer("https://face.example/", 3600)
    assert over_tls.headers["strict-transport-security"] == "max-age=3600"
    assert (over_tls.headers["x-own"], over_tls.text) == ("kept", "done")


@pytest.mark.parametrize(("url", "max_age_s"), [("http://face.example/", 3600), ("https://face.example/", 0)])
async def test_without_tls_or_with_max_age_0_there_is_no_header(url: str, max_age_s: int) -> None:
    assert "strict-transport-security" not in (await answer(url, max_age_s)).headers


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, 0),
        ({"FACE_HSTS_S": "60"}, 60),
        ({"APP_ENV": "production"}, 31_536_000),
        ({"APP_ENV": "staging"}, 31_536_000),
        ({"APP_ENV": "production", "FACE_HSTS_S": "0"}, 0),
    ],
)
def test_strict_transport_is_on_by_default_outside_development(variables: dict[str, str], expected: int) -> None:
    assert load({"FACE_SECRET_KEY": STRONG, **variables}).hsts_max_age_s == expected

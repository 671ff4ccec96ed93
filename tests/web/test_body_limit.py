from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from web.access.body_limit import SMALL_BYTES, Allowance, BodyLimit

PICTURES = Allowance(100_000, ("multipart/form-data", "image/*"), needs_credentials=True)
JSON = Allowance(media=("application/json",), needs_credentials=True)
ROUTES = {("POST", "/pictures"): PICTURES, ("POST", "/json"): JSON, ("GET", "/json"): Allowance(0)}
JPEG = {"content-type": "image/jpeg"}
SOMEBODY = {"authorization": "Bearer good"}


class Application:
    """Answers with the number of bytes that it received."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(len(body)).encode()})


class Keys:
    """Accepts one token, counts its calls, and can fail."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None

    async def __call__(self, scope: object, token: str) -> bool:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return token == "good"


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
async def client(application: Application, keys: Keys) -> AsyncIterator[httpx.AsyncClient]:
    limited: Any = BodyLimit(application, lambda method, path: ROUTES.get((method, path)), keys)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(limited), base_url="http://service") as client:
        yield client


class UnreadBody:
    """A body that fails the test when it is read."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""


async def refused(
    client: httpx.AsyncClient, path: str, length: int | str, headers: dict[str, str], method: str = "POST"
) -> tuple[int, str]:
    """Status and code of a request whose body must not be read."""
    body: Any = UnreadBody()
    answer = await client.request(method, path, content=body, headers={"content-length": str(length), **headers})
    assert answer.headers["connection"] == "close"
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize("size", [0, 1, SMALL_BYTES])
async def test_a_small_body_is_read_without_credentials(client: httpx.AsyncClient, keys: Keys, size: int) -> None:
    assert (await client.post("/pictures", content=bytes(size), headers=JPEG)).text == str(size)
    assert keys.asked == 0


async def test_a_large_body_is_read_with_credentials(client: httpx.AsyncClient, keys: Keys) -> None:
    answer = await client.post("/pictures", content=bytes(PICTURES.max_bytes), headers=JPEG | SOMEBODY)
    assert answer.text == str(PICTURES.max_bytes)
    assert keys.asked == 1


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Bearer bad", "Basic good", "good", "Bearer good x"])
@pytest.mark.parametrize("path", ["/pictures", "/json"])
async def test_a_large_body_without_credentials_is_not_read(
    client: httpx.AsyncClient, path: str, header: str | None
) -> None:
    headers = JPEG if header is None else JPEG | {"authorization": header}
    assert await refused(client, path, SMALL_BYTES + 1, headers) == (401, "unauthorized")


async def test_credentials_are_checked_before_100_continue(client: httpx.AsyncClient) -> None:
    waiting = {"expect": "100-continue", "content-type": "application/json"}
    assert await refused(client, "/json", 10, waiting) == (401, "unauthorized")
    assert (await client.post("/json", content=b"{}", headers=waiting | SOMEBODY)).status_code == 200


async def test_where_credentials_cannot_be_checked_nothing_is_read(client: httpx.AsyncClient, keys: Keys) -> None:
    keys.error = OSError("the database is away")
    assert await refused(client, "/pictures", SMALL_BYTES + 1, JPEG | SOMEBODY) == (503, "unavailable")


async def test_one_byte_above_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    too_long = PICTURES.max_bytes + 1
    assert await refused(client, "/pictures", too_long, JPEG | SOMEBODY) == (413, "request_too_large")


@pytest.mark.parametrize("kind", ["image/x", "application/json", "multipart/form-data", "text/plain"])
async def test_a_route_without_pictures_has_the_small_limit_whatever_its_name(
    client: httpx.AsyncClient, kind: str
) -> None:
    headers = {"content-type": kind} | SOMEBODY
    assert await refused(client, "/json", SMALL_BYTES + 1, headers) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("path", "kind"), [("/json", "image/jpeg"), ("/json", "text/plain"), ("/pictures", "text/plain"), ("/pictures", "")]
)
async def test_another_content_type_is_refused(client: httpx.AsyncClient, path: str, kind: str) -> None:
    headers = {"content-type": kind} | SOMEBODY
    assert await refused(client, path, 10, headers) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/json", "application/json; charset=utf-8"),
        ("/json", ""),
        ("/pictures", "IMAGE/PNG"),
        ("/pictures", "multipart/form-data; boundary=x"),
    ],
)
async def test_the_right_content_type_passes_however_it_is_written(
    client: httpx.AsyncClient, path: str, kind: str
) -> None:
    assert (await client.post(path, content=b"{}", headers={"content-type": kind})).status_code == 200


async def test_a_body_to_an_unknown_path_is_not_read(client: httpx.AsyncClient) -> None:
    assert await refused(client, "/nothing", 10, {}) == (404, "not_found")
    assert (await client.post("/nothing")).status_code == 200, "without a body it is the application's"


async def test_a_route_of_get_alone_takes_no_body(client: httpx.AsyncClient) -> None:
    assert await refused(client, "/json", 1, {}, method="GET") == (413, "request_too_large")
    assert (await client.get("/json")).status_code == 200


async def test_a_body_of_unknown_length_is_refused(client: httpx.AsyncClient, application: Application) -> None:
    body: Any = UnreadBody()
    answer = await client.post("/json", content=body, headers={"transfer-encoding": "chunked"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (411, "length_required")
    assert application.asked == 0


@pytest.mark.parametrize("length", ["-1", "1e3", "many", "9" * 5_000, "+5", "1_0"])
async def test_an_invalid_content_length_is_refused(client: httpx.AsyncClient, length: str) -> None:
    assert await refused(client, "/json", length, SOMEBODY) == (413, "request_too_large")

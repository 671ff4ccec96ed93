"""Limits of one connection: every attack on the transport is answered, ended and bounded, and others are served."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.frames import Close

from server.connections.bounded_http import LINGERING_CLOSE_BYTES, MAX_HEAD_BYTES, MAX_HEADER_LINES
from testkit.patience import PATIENCE_S
from testkit.service import LiveService, running_service
from tests.server.limits.raw_sockets import PING, client_frame, upgrade_request
from web.access.body_limit import SMALL_BYTES

TIMEOUT_S = 2.0
"""The service's time-out for heads and bodies."""
MIN_BODY_BYTES_PER_S = 64
MAX_HTTP_CONNECTIONS = 10
BLOCKED_S = 2.0
HEALTH = "GET /api/health/ HTTP/1.1\r\nHost: x\r\n"
FLOOD_BYTES = 64 << 20
GROWTH_LIMIT_BYTES = 24 << 20
ID = "x-request-id: trace-1\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    environment = {
        "FACE_REQUEST_TIMEOUT_S": f"{TIMEOUT_S}",
        "FACE_MIN_BODY_BYTES_PER_S": f"{MIN_BODY_BYTES_PER_S}",
        "FACE_MAX_HTTP_CONNECTIONS": f"{MAX_HTTP_CONNECTIONS}",
        "FACE_ALLOWED_HOSTS": "127.0.0.1,x",
    }
    directory: Path = tmp_path_factory.mktemp("service")
    with running_service(directory, workers=1, pool_size=1, environment=environment) as service:
        yield service


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """Of the envelope, which agrees with the header about the request's id."""
        envelope = json.loads(self.body)
        assert envelope["request_id"] == self.headers["x-request-id"]
        return str(envelope["error"]["code"])


class Client:
    """One connection to the service, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes | str) -> None:
        self._writer.write(data.encode("latin-1") if isinstance(data, str) else data)
        await self._writer.drain()

    async def flood(self, piece: bytes, total: int) -> int:
        """Send again and again until the service takes no more; how much it took."""
        sent = 0
        with suppress(ConnectionError):
            while sent < total:
                await self.send(piece)
                sent += len(piece)
        return sent

    async def answer(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(status.split(" ")[1]), headers, body)

    async def is_closed(self) -> bool:
        """Waits until the other side has ended the connection, and finds that it said nothing more."""
        with suppress(ConnectionError):
            return await self._reader.read() == b""
        return True


@asynccontextmanager
async def connected(service: LiveService) -> AsyncIterator[Client]:
    host, port = service.base_url.removeprefix("http://").split(":")
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield Client(reader, writer)
        finally:
            writer.transport.abort()  # What is written and was never taken would keep it open.
            with suppress(ConnectionError):
                await writer.wait_closed()


@pytest.fixture(autouse=True)
async def bystander(service: LiveService) -> AsyncIterator[None]:
    """Checks that another client's socket, opened before, and the probe answer afterwards."""
    address = service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_bystander/"
    async with asyncio.timeout(2 * PATIENCE_S), connect(address) as other:
        await other.recv()
        yield
        await other.send('{"type":"ping"}')
        assert json.loads(await other.recv()) == {"type": "pong"}
    async with connected(service) as client:
        await client.send(HEALTH + "\r\n")
        assert (await client.answer()).status == 200


def post(path: str, content_type: str, length: int, *headers: str) -> str:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {content_type}", f"Content-Length: {length}", *headers]
    return "\r\n".join([*lines, "", ""])


# Heads.


@pytest.mark.parametrize(
    "head",
    [
        HEALTH + ID + "X-Long: " + "a" * MAX_HEAD_BYTES,
        "GET /" + "a" * MAX_HEAD_BYTES,
        HEALTH + ID + "a: b\r\n" * MAX_HEADER_LINES + "\r\n",
        "\r\n" * MAX_HEAD_BYTES,
    ],
    ids=["long header", "long url", "many lines", "empty lines"],
)
async def test_a_head_that_is_too_large_is_refused_and_the_connection_ends(service: LiveService, head: str) -> None:
    async with connected(service) as client:
        await client.send(head)
        answer = await client.answer()
        assert (answer.status, answer.code) == (431, "headers_too_large")
        assert answer.headers["connection"] == "close"
        assert (answer.headers["x-request-id"] == "trace-1") == (ID in head)
        assert await client.is_closed()


async def test_a_head_of_exactly_the_limit_is_accepted(service: LiveService) -> None:
    begin = HEALTH + "X-Long: "
    async with connected(service) as client:
        for size, status in ((MAX_HEAD_BYTES, 200), (MAX_HEAD_BYTES + 1, 431)):
            await client.send(begin + "a" * (size - len(begin) - 4) + "\r\n\r\n")
            assert (await client.answer()).status == status


async def test_a_head_may_come_byte_by_byte(service: LiveService) -> None:
    async with connected(service) as client:
        for byte in (HEALTH + "\r\n").encode():
            await client.send(bytes([byte]))
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("piece", [b"a" * 65_536, b"\r\nX: " + b"a" * 65_531], ids=["line", "lines"])
async def test_an_endless_head_is_not_read_on(service: LiveService, piece: bytes) -> None:
    (worker,) = psutil.Process(service.pid).children()
    before = worker.memory_info().rss
    async with connected(service) as client:
        await client.send(HEALTH)
        assert await client.flood(piece, FLOOD_BYTES) < FLOOD_BYTES
        assert worker.memory_info().rss - before < GROWTH_LIMIT_BYTES


@pytest.mark.parametrize("head", [HEALTH, "G", "\r\n"], ids=["all but the end", "one byte", "an empty line"])
async def test_a_connection_with_an_incomplete_head_is_closed_in_time(service: LiveService, head: str) -> None:
    async with connected(service) as client:
        await client.send(head)
        answer = await client.answer()
        assert (answer.status, answer.code) == (408, "request_timeout")
        assert await client.is_closed()


async def test_a_connection_with_a_later_incomplete_head_is_closed_in_time(service: LiveService) -> None:
    async with connected(service) as client:
        await client.send(HEALTH + "\r\n")
        assert (await client.answer()).status == 200
        await client.send(HEALTH)
        assert (await client.answer()).status == 408
        assert await client.is_closed()


async def test_a_head_sent_line_by_line_gains_no_time(service: LiveService) -> None:
    async with connected(service) as client:
        await client.send(HEALTH)

        async def drip() -> None:
            with suppress(ConnectionError):
                for number in range(1_000):
                    await client.send(f"X-{number}: 1\r\n")
                    await asyncio.sleep(TIMEOUT_S / 10)

        dripping = asyncio.create_task(drip())
        assert (await client.answer()).status == 408
        dripping.cancel()


async def test_a_silent_connection_is_closed_without_an_answer(service: LiveService) -> None:
    async with connected(service) as client:
        assert await client.is_closed()


@pytest.mark.parametrize(
    "head",
    [
        "GET /api/health/ HTTP/1.1\nHost: x\n\n",
        HEALTH + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        HEALTH + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        HEALTH + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        HEALTH + "Content-Length: 3, 3\r\n\r\nabc",
        HEALTH + "Content-Length: +3\r\n\r\nabc",
        HEALTH + "Content-Length: -3\r\n\r\nabc",
        HEALTH + "Content-Length: 1_0\r\n\r\nabc",
        HEALTH + "Content-Length: 0x3\r\n\r\nabc",
        HEALTH + "Content-Length: \r\n\r\nabc",
        HEALTH + "Content-Length: 99999999999999999999999\r\n\r\nabc",
        HEALTH + "Content-Length : 3\r\n\r\nabc",
        HEALTH + "X: a\0b\r\n\r\n",
        HEALTH + "X\0: a\r\n\r\n",
        HEALTH + "X: a\rb\r\n\r\n",
        HEALTH + "X: a\r\n folded\r\n\r\n",
        HEALTH + ": a\r\n\r\n",
        HEALTH + "no colon\r\n\r\n",
        HEALTH + "Host: y\r\n\r\n",
        "GET /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /a\xffb HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /api/health/\r\n\r\n",
        "GET /api/health/ HTTP/2.0\r\nHost: x\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "CONNECT evil:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        "get /api/health/ HTTP/1.1\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
        HEALTH + "Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
    ],
)
async def test_a_head_that_two_parsers_could_read_differently_is_refused(service: LiveService, head: str) -> None:
    async with connected(service) as client:
        await client.send(head + HEALTH + "\r\n")
        answer = await client.answer()
        assert (answer.status, answer.code) == (400, "bad_request")
        assert await client.is_closed(), "and nothing behind it is a request"


@pytest.mark.parametrize("coding", ["chunked", "identity", "gzip, chunked", "xchunked", "chunked\r\nX: y"])
async def test_a_body_of_unknown_length_is_refused(service: LiveService, coding: str) -> None:
    async with connected(service) as client:
        await client.send(f"POST /api/v1/sessions/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {coding}\r\n\r\n")
        await client.flood(b"1;" + b"x" * 60_000, 200_000)
        answer = await client.answer()
        assert (answer.status, answer.code) == (411, "length_required")
        assert await client.is_closed()


async def test_unusual_valid_requests_are_answered(service: LiveService) -> None:
    async with connected(service) as client:
        for head in (
            "\r\n" + HEALTH,
            HEALTH + "Connection: keep-alive\r\n",
            "GET http://elsewhere/api/health/ HTTP/1.1\r\nHost: x\r\n",
        ):
            await client.send(head + "\r\n")
            assert (await client.answer()).status == 200
        await client.send("GET /api/health/ HTTP/1.0\r\n\r\n" + HEALTH + "\r\n")
        assert (await client.answer()).status == 200
        assert await client.is_closed(), "what follows a last request is no request"


# Bodies.


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api/v1/faces/detect/", "image/jpeg"),
        ("/api/v1/sessions/", "application/json"),
        ("/demo/sessions/", "image/x"),
    ],
)
async def test_a_long_body_without_credentials_is_not_read(service: LiveService, path: str, kind: str) -> None:
    (worker,) = psutil.Process(service.pid).children()
    before = worker.memory_info().rss
    async with connected(service) as client:
        await client.send(post(path, kind, FLOOD_BYTES))
        assert await client.flood(bytes(65_536), FLOOD_BYTES) < FLOOD_BYTES
        assert worker.memory_info().rss - before < GROWTH_LIMIT_BYTES


async def test_a_client_with_too_long_a_body_can_read_the_refusal(service: LiveService) -> None:
    length = SMALL_BYTES + 1
    assert length < LINGERING_CLOSE_BYTES
    async with connected(service) as client:
        await client.send(post("/api/v1/faces/detect/", "image/jpeg", length))
        await client.send(bytes(length))
        answer = await client.answer()
        assert (answer.status, answer.code) == (401, "unauthorized")
        assert await client.is_closed()


@pytest.mark.parametrize("token", ["wrong", "test_sandbox", "fk_wrong"])
async def test_a_wrong_key_counts_as_none(service: LiveService, token: str) -> None:
    async with connected(service) as client:
        await client.send(post("/api/v1/faces/detect/", "image/jpeg", 1 << 20, f"Authorization: Bearer {token}"))
        assert (await client.answer()).code == "unauthorized"


async def test_a_route_without_pictures_refuses_large_bodies_and_pictures(service: LiveService) -> None:
    key = f"Authorization: Bearer {service.api_key}"
    async with connected(service) as client:
        await client.send(post("/api/v1/sessions/", "image/x", 40 << 20, key))
        assert (await client.answer()).code == "request_too_large"
    async with connected(service) as client:
        await client.send(post("/api/v1/sessions/", "image/x", 3, key) + "abc")
        assert (await client.answer()).code == "unsupported_media_type"
    async with connected(service) as client:
        await client.send(post("/nothing/", "image/jpeg", 3) + "abc")
        assert (await client.answer()).code == "not_found"


async def test_a_picture_is_accepted_with_a_key_or_for_its_own_session(service: LiveService) -> None:
    """The request reaches the route: bytes that are no picture are refused as such."""
    async with service.client() as http:
        created = await http.create_session("identification", liveness="none")
    for path, token in (
        ("/api/v1/faces/detect/", service.api_key),
        (f"/api/v1/sessions/{created.id}/frames/", created.token),
    ):
        async with connected(service) as client:
            await client.send(post(path, "image/jpeg", 1 << 20, f"Authorization: Bearer {token}"))
            await client.send(bytes(1 << 20))
            assert (await client.answer()).code == "invalid_image"


async def test_100_continue_is_sent_only_after_credentials_were_checked(service: LiveService) -> None:
    waits = "Expect: 100-continue"
    async with connected(service) as client:
        await client.send(post("/api/v1/subjects/", "application/json", 2, waits))
        assert (await client.answer()).status == 401
    async with connected(service) as client:
        key = f"Authorization: Bearer {service.api_key}"
        await client.send(post("/api/v1/subjects/", "application/json", 2, waits, key))
        assert (await client.answer()).status == 100
        await client.send("{}")
        assert (await client.answer()).status == 422


async def test_a_body_that_comes_too_slowly_is_refused(service: LiveService) -> None:
    async with connected(service) as client:
        await client.send(post("/api/v1/sessions/", "application/json", 1_000, ID.strip()) + "{")
        answer = await client.answer()
        assert (answer.status, answer.code) == (408, "request_timeout")
        assert answer.headers["x-request-id"] == "trace-1"
        assert await client.is_closed()


async def test_a_body_above_the_minimum_rate_is_read(service: LiveService) -> None:
    body = b'{"kind": "none"' + b" " * 8_000 + b"}"
    key = f"Authorization: Bearer {service.api_key}"
    async with connected(service) as client:
        await client.send(post("/api/v1/sessions/", "application/json", len(body), key))
        for begin in range(0, len(body), 600):
            await client.send(body[begin : begin + 600])
            await asyncio.sleep(TIMEOUT_S / 5)
        assert (await client.answer()).status == 422


async def test_a_connection_with_an_unread_body_is_not_used_again(service: LiveService) -> None:
    async with connected(service) as client:
        await client.send(HEALTH + "Content-Length: 1000000\r\n\r\n" + HEALTH + "\r\n")
        assert (await client.answer()).status == 200
        assert await client.is_closed()


# Order.


async def test_pipelined_requests_are_answered_in_order(service: LiveService) -> None:
    async with connected(service) as client:
        for number in range(50):
            path = "/api/v1/subjects/" if number % 2 else "/api/health/"
            await client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nx-request-id: {number}\r\n\r\n")
        answers = [await client.answer() for _ in range(50)]
    assert [answer.headers["x-request-id"] for answer in answers] == [f"{number}" for number in range(50)]
    assert [answer.status for answer in answers] == [200, 401] * 25


async def test_a_flood_of_pipelined_requests_waits_as_bytes(service: LiveService) -> None:
    (worker,) = psutil.Process(service.pid).children()
    before = worker.memory_info().rss
    request = b"GET /api/v1/subjects/ HTTP/1.1\r\nHost: x\r\n\r\n"
    async with connected(service) as client:
        # Nothing is read, so after what all buffers hold the service takes no more.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(BLOCKED_S):
                await client.flood(request * 1_000, FLOOD_BYTES)
        assert worker.memory_info().rss - before < GROWTH_LIMIT_BYTES


async def test_a_socket_opens_after_the_answers_before_it(service: LiveService) -> None:
    async with connected(service) as client:
        opening = upgrade_request(service.base_url, "test_order")
        before = b"GET /api/v1/subjects/ HTTP/1.1\r\nHost: x\r\n\r\n"
        await client.send(before + before + opening + client_frame(PING, b"early"))
        assert [(await client.answer()).status for _ in range(3)] == [401, 401, 101]
        assert await client._reader.readuntil(b"\x8a\x05early"), "the pong of what came along"


async def test_an_unknown_upgrade_is_answered_as_a_plain_request(service: LiveService) -> None:
    async with connected(service) as client:
        await client.send(HEALTH + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n")
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.is_closed()


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        (("Sec-WebSocket-Key", "X-Key"), 400, "bad_request"),
        (("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 1"), 400, "bad_request"),
        (("GET ", "POST "), 405, "method_not_allowed"),
    ],
)
async def test_a_refused_handshake_has_the_error_envelope(
    service: LiveService, change: tuple[str, str], status: int, code: str
) -> None:
    async with connected(service) as client:
        opening = upgrade_request(service.base_url, "test_refused", ID.strip()).decode()
        await client.send(opening.replace(*change))
        answer = await client.answer()
        assert (answer.status, answer.code) == (status, code)
        assert answer.headers["x-request-id"] == "trace-1"
        assert await client.is_closed()


# Connections.


async def test_idle_and_half_open_connections_make_room_for_others(service: LiveService) -> None:
    """More connections than allowed: each new one is served while the others hold on."""
    held = []
    for number in range(2 * MAX_HTTP_CONNECTIONS):
        connection = connected(service)
        client = await connection.__aenter__()
        held.append(connection)
        await client.send(HEALTH + "\r\n")
        assert (await client.answer()).status == 200, number
        if number % 2:
            await client.send("GET /half")
    async with connected(service) as late:
        await late.send(HEALTH + "\r\n")
        assert (await late.answer()).status == 200
    for connection in held:
        await connection.__aexit__(None, None, None)


async def test_a_new_connection_is_told_503_when_all_have_requests_in_work(service: LiveService) -> None:
    key = f"Authorization: Bearer {service.api_key}"
    held = []
    for _ in range(MAX_HTTP_CONNECTIONS):
        connection = connected(service)
        client = await connection.__aenter__()
        held.append(connection)
        await client.send(post("/api/v1/sessions/", "application/json", 60_000, key, "Expect: 100-continue"))
        assert (await client.answer()).status == 100
    async with connected(service) as late:
        answer = await late.answer()
        assert (answer.status, answer.code) == (503, "overloaded")
        assert int(answer.headers["retry-after"]) > 0
        assert await late.is_closed()
    for connection in held:
        await connection.__aexit__(None, None, None)


# Hosts, and what is written about all this.


async def test_a_host_that_is_not_served_is_refused_over_http_and_websocket(service: LiveService) -> None:
    async with connected(service) as client:
        await client.send("GET /api/v1/subjects/ HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert (await client.answer()).code == "bad_request"
    address = service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_host/"
    port = int(service.base_url.rpartition(":")[2])
    async with connect(address.replace("127.0.0.1", "evil.example"), host="127.0.0.1", port=port) as socket:
        assert json.loads(await socket.recv())["code"] == "refused"
        await socket.wait_closed()
        assert socket.protocol.close_rcvd == Close(4403, "")


async def test_the_log_has_bounded_lines_and_no_traceback(service: LiveService) -> None:
    async with connected(service) as client:
        await client.send(f"GET /{'a' * 20_000}%0aforged HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await client._reader.read()
    log = service.log.read_text()
    assert "Traceback" not in log
    lines = log.splitlines()
    assert max(map(len, lines)) < 5_000
    assert not [line for line in lines if line.startswith("forged")]
    assert sum("evil.example" in line for line in lines) <= 2


async def test_every_refusal_is_counted(service: LiveService) -> None:
    async with connected(service) as client:
        await client.send("nonsense\r\n\r\n")
        assert (await client.answer()).status == 400
    metrics = service.get("/metrics").text
    assert re.search(r'^face_http_refused_total\{status="400"\} [1-9]', metrics, re.MULTILINE)

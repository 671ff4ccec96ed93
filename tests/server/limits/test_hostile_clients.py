"""Clients that misbehave below the protocol are closed, with a reason where possible; others are served."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from core.types import RgbImage
from testkit.clips import encode_jpeg
from testkit.patience import PATIENCE_S
from testkit.service import LiveService, running_service
from tests.server.limits.raw_sockets import PING, client_frame, raw_socket, upgrade_request

FRAMES = 1_000
BURSTS = 10
"""One would do; several may be on their way when the connection is cut off."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    directory: Path = tmp_path_factory.mktemp("service")
    with running_service(directory, workers=1, pool_size=1) as service:
        yield service


async def pings(client: ClientConnection) -> None:
    for _ in range(FRAMES):
        await client.ping()


async def unasked_pongs(client: ClientConnection) -> None:
    for _ in range(FRAMES):
        await client.pong()


async def empty_fragments(client: ClientConnection) -> None:
    await client.send(b"" for _ in range(FRAMES))


@pytest.mark.parametrize("flood", [pings, unasked_pongs, empty_fragments], ids=lambda flood: flood.__name__)
async def test_a_flood_is_ended_and_others_stay(
    service: LiveService, flood: Callable[[ClientConnection], Awaitable[None]]
) -> None:
    address = service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_{}/"
    async with asyncio.timeout(PATIENCE_S), connect(address.format("other")) as other:
        await other.recv()
        async with connect(address.format("flooder")) as flooder:
            await flooder.recv()
            with suppress(ConnectionClosed):
                await flood(flooder)
            with suppress(ConnectionClosed):
                error = json.loads(await flooder.recv())
            await flooder.wait_closed()
            assert (error["type"], error["code"]) == ("error", "too_fast")
            assert flooder.close_code == 4429
        await other.send('{"type":"ping"}')
        assert json.loads(await other.recv()) == {"type": "pong"}


async def test_a_fragmented_message_and_occasional_pings_are_accepted(service: LiveService) -> None:
    address = service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_pieces/"
    async with asyncio.timeout(PATIENCE_S), connect(address) as client:
        await client.recv()
        for _ in range(50):
            await client.send(iter(['{"type"', ':"ping"', "}"]))
            assert json.loads(await client.recv()) == {"type": "pong"}
            await (await client.ping())


async def test_a_picture_may_come_in_many_fragments(service: LiveService, astronaut_rgb: RgbImage) -> None:
    picture = encode_jpeg(astronaut_rgb)
    pieces = [picture[begin : begin + 2048] for begin in range(0, len(picture), 2048)]
    address = service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_pieces/"
    async with asyncio.timeout(PATIENCE_S), connect(address) as client:
        await client.recv()
        for _ in range(FRAMES // len(pieces)):
            await client.send(pieces)
            assert json.loads(await client.recv())["type"] == "frame_processed"


async def test_a_client_that_floods_after_the_close_is_cut_off(service: LiveService) -> None:
    flooder = raw_socket(service.base_url, "nobody")
    try:
        async with asyncio.timeout(PATIENCE_S):
            sent = await bursts_until_cut_off(flooder, client_frame(PING, b"") * FRAMES)
    finally:
        flooder.close()
    assert sent <= BURSTS


@pytest.mark.parametrize(
    "header", ["Cookie: " + "c" * 9_000, "X-Many: 1\r\n" * 130 + "X-Last: 1"], ids=["too long", "too many"]
)
async def test_a_request_that_cannot_be_parsed_is_answered_and_ended(service: LiveService, header: str) -> None:
    host, port = service.base_url.removeprefix("http://").split(":")
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(upgrade_request(service.base_url, "test_head", header))
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 431")


async def bursts_until_cut_off(raw: socket.socket, burst: bytes) -> int:
    """Send a burst for everything that is received, until the other side ends the connection; return their number."""
    loop = asyncio.get_running_loop()
    sent = 0
    with suppress(ConnectionError):
        while await loop.sock_recv(raw, 65_536):
            await loop.sock_sendall(raw, burst)
            sent += 1
    return sent

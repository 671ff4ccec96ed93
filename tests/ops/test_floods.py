"""Frames that the application never sees are counted as messages are: no flood of them goes on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tools.service import LiveService, running_service

FRAMES = 1_000
PATIENCE_S = 60.0


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
            await flooder.wait_closed()
            assert flooder.close_code == 4429
        await other.send('{"type":"ping"}')
        assert json.loads(await other.recv()) == {"type": "pong"}


async def test_a_message_in_pieces_and_a_ping_now_and_then_are_welcome(service: LiveService) -> None:
    address = service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_pieces/"
    async with asyncio.timeout(PATIENCE_S), connect(address) as client:
        await client.recv()
        for _ in range(50):
            await client.send(iter(['{"type"', ':"ping"', "}"]))
            assert json.loads(await client.recv()) == {"type": "pong"}
            await (await client.ping())

"""Clients that send and never read: memory is bounded, and others get their answers."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from websockets.asyncio.client import connect

from testkit import loopback
from testkit.clips import encode_jpeg
from testkit.patience import PATIENCE_S
from testkit.service import LiveService, running_service
from tests.server.limits.raw_sockets import PING, TEXT, client_frame, raw_socket

FLOODERS = 4
SMALL_BUFFER = 2048
FLOOD_BYTES = 1 << 20
ANSWERS_DURING_A_FLOOD = 2
GROWTH_LIMIT_BYTES = 16 << 20
"""One read of 256 kB for each flooder is thousands of messages of some hundred bytes: 3 MB for each, however long it
goes on."""
CLOSE_S = 9.0
"""Uvicorn gives up waiting for a client's close after ten."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    # The limit of messages would end the flood before it tells anything.
    unlimited = {"FACE_MAX_MESSAGES_PER_SECOND": "1000000"}
    directory: Path = tmp_path_factory.mktemp("service")
    with running_service(directory, workers=1, pool_size=1, environment=unlimited) as service:
        yield service


@pytest.mark.parametrize(
    ("opcode", "payload"),
    [(TEXT, b'{"type":"ping"}'), (PING, bytes(125))],
    ids=["messages", "pings of the protocol"],
)
async def test_unread_answers_are_bounded(service: LiveService, opcode: int, payload: bytes) -> None:
    (worker,) = psutil.Process(service.pid).children()
    flooders = [raw_socket(service.base_url, f"test_deaf{number}", SMALL_BUFFER) for number in range(FLOODERS)]
    try:
        before = worker.memory_info().rss
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            others = tasks.create_task(answers_of_others(service))
            await flood_until_done(others, flooders, client_frame(opcode, payload) * 500)
        grown = worker.memory_info().rss - before
    finally:
        for flooder in flooders:
            flooder.close()
    assert grown < GROWTH_LIMIT_BYTES


async def test_a_burst_is_answered_to_its_end_and_in_order(service: LiveService) -> None:
    address = service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_burst/"
    picture = encode_jpeg(np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8))
    assert len(picture) > 160_000
    async with connect(address, max_queue=None) as client:
        await client.recv()
        for number in range(1, 4):
            for _ in range(1_000):
                await client.send('{"type":"ping"}')
            await client.send(picture)
            kinds = [json.loads(await client.recv()) for _ in range(1_001)]
            assert [message["type"] for message in kinds] == ["pong"] * 1_000 + ["frame_processed"]
            assert kinds[-1]["seq"] == number
        await (await client.ping())


async def test_a_client_that_closes_amid_a_burst_is_released_at_once(service: LiveService) -> None:
    address = service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_leave/"
    client = await connect(address, max_queue=None)
    await client.recv()
    for _ in range(2_000):
        await client.send('{"type":"ping"}')
    await client.send('{"type":"cancel"}')
    for _ in range(2_000):
        await client.send('{"type":"ping"}')
    began = time.monotonic()
    await client.close()
    assert time.monotonic() - began < CLOSE_S


async def flood_until_done(others: asyncio.Task[None], flooders: list[socket.socket], frames: bytes) -> None:
    """Send as much as the server takes: a flood that starves the others would go on for ever."""
    unsent = dict.fromkeys(flooders, b"")
    sent = 0
    while sent < FLOOD_BYTES or not others.done():
        for flooder in flooders:
            data = unsent[flooder] or frames
            try:
                taken = flooder.send(data)
            except BlockingIOError:
                taken = 0
            unsent[flooder] = data[taken:]
            sent += taken
        await asyncio.sleep(0.001)


async def answers_of_others(service: LiveService) -> None:
    """Answers to the health probe and to another client's ping."""
    address = service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_other/"
    async with loopback.client(base_url=service.base_url, timeout=PATIENCE_S) as http, connect(address) as other:
        await other.recv()
        for _ in range(ANSWERS_DURING_A_FLOOD):
            assert (await http.get("/api/health/")).status_code == 200
            await other.send('{"type":"ping"}')
            assert await other.recv() == '{"type":"pong"}'
            await asyncio.sleep(0.1)

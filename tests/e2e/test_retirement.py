"""A worker that has grown too large is replaced, and nobody notices."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tools.service import LiveService, running_service

TOO_SMALL_MB = "64"
SOCKETS = 4
PATIENCE_S = 60.0
LOOK_EVERY_S = 0.1


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    environment = {"FACE_WORKER_MAX_MEMORY_MB": TOO_SMALL_MB}
    with running_service(tmp_path_factory.mktemp("large"), workers=2, pool_size=1, environment=environment) as service:
        yield service


async def test_a_worker_that_is_too_large_serves_its_sockets_and_goes(service: LiveService) -> None:
    before = workers(service)
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(connect(address(service, n))) for n in range(SOCKETS)]
        await until(lambda: "FACE_WORKER_MAX_MEMORY_MB" in log(service))
        assert all([await answers(opened) for opened in sockets])
        later = await stack.enter_async_context(connect(address(service, SOCKETS)))
        assert await answers(later)
        assert workers(service) == before, "nobody has gone while there are sockets"
    await until(lambda: len(workers(service) - before) == 1)
    async with connect(address(service, SOCKETS + 1)) as again:
        assert await answers(again)
    assert "Traceback" not in log(service)


def address(service: LiveService, number: int) -> str:
    return f"{service.base_url.replace('http', 'ws')}/ws/auth/process-image/test_{number}/"


async def answers(opened: ClientConnection) -> bool:
    await opened.send('{"type":"ping"}')
    while (message := json.loads(await asyncio.wait_for(opened.recv(), 10)))["type"] != "pong":
        assert message["type"] == "connection_established"
    return True


def workers(service: LiveService) -> set[int]:
    return {worker.pid for worker in psutil.Process(service.pid).children()}


def log(service: LiveService) -> str:
    return (service.data_dir.parent / "service.log").read_text()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(int(PATIENCE_S / LOOK_EVERY_S)):
        if condition():
            return
        await asyncio.sleep(LOOK_EVERY_S)
    raise AssertionError("it did not come true")

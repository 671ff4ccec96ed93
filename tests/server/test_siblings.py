"""Sockets go to the worker that has the fewest, and none is lost on the way."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect

from server.siblings import FOUND_AGAIN_S, SILENT_S, Siblings
from tests.ops.processes import living
from tools.service import LiveService, running_service

WORKERS = 3
REQUEST = b"GET / HTTP/1.1\r\n\r\n"
DEAF_SIBLING = """
import asyncio, sys
from pathlib import Path
from server.siblings import Siblings

async def join():
    Siblings(Path(sys.argv[1])).join(asyncio.Protocol)
    print("ready", flush=True)
    input()

asyncio.run(join())
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    directory: Path = tmp_path_factory.mktemp("service")
    with running_service(directory, workers=WORKERS, pool_size=1) as service:
        yield service


@asynccontextmanager
async def open_sockets(service: LiveService, count: int, at_once: int = 1) -> AsyncIterator[list[ClientConnection]]:
    door = asyncio.Semaphore(at_once)

    async def greeted(number: int) -> ClientConnection:
        async with door:
            address = f"{service.base_url.replace('http', 'ws')}/ws/auth/process-image/test_{number}/"
            opened = await stack.enter_async_context(connect(address))
            assert json.loads(await opened.recv())["type"] == "connection_established"
            return opened

    async with AsyncExitStack() as stack:
        yield await asyncio.gather(*(greeted(number) for number in range(count)))


async def answers(opened: ClientConnection) -> bool:
    await opened.send('{"type":"ping"}')
    return await asyncio.wait_for(opened.recv(), 10) == '{"type":"pong"}'


def workers(service: LiveService) -> list[psutil.Process]:
    return psutil.Process(service.pid).children()


def sockets_of(worker: psutil.Process, service: LiveService) -> int:
    port = int(service.base_url.rpartition(":")[2])
    connections = worker.net_connections("tcp")
    return sum(one.laddr.port == port and one.status == psutil.CONN_ESTABLISHED for one in connections)


def shares_of(service: LiveService) -> list[int]:
    return sorted(sockets_of(worker, service) for worker in workers(service))


async def until_idle(service: LiveService) -> None:
    """Every worker is there and known to the others, and what an earlier test closed is no longer counted."""
    for _ in range(300):
        shares = shares_of(service)
        if len(list((service.data_dir / "run" / "siblings").glob("*[0-9]"))) == WORKERS and not any(shares):
            await asyncio.sleep(FOUND_AGAIN_S)
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"the workers' sockets are {shares}")


@pytest.mark.parametrize("count", [WORKERS, 10])
async def test_sockets_are_shared_out_evenly(service: LiveService, count: int) -> None:
    await until_idle(service)
    async with open_sockets(service, count) as sockets:
        shares = shares_of(service)
        assert all([await answers(opened) for opened in sockets])
    assert sum(shares) == count
    assert shares[-1] - shares[0] <= 1


async def test_none_of_many_that_come_at_once_is_lost(service: LiveService) -> None:
    async with open_sockets(service, 40, at_once=40) as sockets:
        assert all([await answers(opened) for opened in sockets])


async def test_a_worker_that_dies_takes_nobody_elses_sockets_along(service: LiveService) -> None:
    async with open_sockets(service, 3 * WORKERS) as sockets:
        victim = workers(service)[0]
        lost = sockets_of(victim, service)
        victim.kill()
        victim.wait(10)
        async with open_sockets(service, 6) as later:
            assert all([await answers(opened) for opened in later])
        alive = await asyncio.gather(*(answers(opened) for opened in sockets), return_exceptions=True)
    assert alive.count(True) == len(sockets) - lost


@contextmanager
def connected() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            yield accepted


async def test_a_sibling_that_takes_nothing_is_given_no_more(tmp_path: Path) -> None:
    with living(DEAF_SIBLING, tmp_path), joined(tmp_path) as siblings, connected() as connection:
        siblings.opened()
        siblings.opened()
        assert siblings.hand_over(connection.fileno(), REQUEST)
        await asyncio.sleep(1.2 * SILENT_S)
        assert not siblings.hand_over(connection.fileno(), REQUEST)


async def test_a_silence_is_forgiven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.siblings.FORGIVEN_S", 2 * SILENT_S)
    with living(DEAF_SIBLING, tmp_path), joined(tmp_path) as siblings, connected() as connection:
        siblings.opened()
        siblings.opened()
        assert siblings.hand_over(connection.fileno(), REQUEST)
        await asyncio.sleep(2.2 * SILENT_S)
        assert siblings.hand_over(connection.fileno(), REQUEST)


async def test_those_on_their_way_count(tmp_path: Path) -> None:
    with living(DEAF_SIBLING, tmp_path), joined(tmp_path) as siblings, connected() as connection:
        siblings.opened()
        siblings.opened()
        went = [siblings.hand_over(connection.fileno(), REQUEST) for _ in range(3)]
    assert went == [True, True, False]


async def test_who_has_retired_hands_everything_over_and_is_handed_nothing(tmp_path: Path) -> None:
    with living(DEAF_SIBLING, tmp_path), joined(tmp_path) as siblings, connected() as connection:
        assert not siblings.hand_over(connection.fileno(), REQUEST), "it has no more than the other"
        siblings.retire()
        assert siblings.hand_over(connection.fileno(), REQUEST)
        (told,) = struct.unpack("<q", (tmp_path / "siblings" / f"{os.getpid()}.open").read_bytes()[:8])
    assert told > 1_000_000


async def test_what_a_dead_sibling_left_is_no_sibling(tmp_path: Path) -> None:
    with living(DEAF_SIBLING, tmp_path):
        pass
    with joined(tmp_path) as siblings, connected() as connection:
        siblings.opened()
        assert not siblings.hand_over(connection.fileno(), REQUEST)
        assert len(list((tmp_path / "siblings").iterdir())) == 2, "its own two files"
    assert not list((tmp_path / "siblings").iterdir())


async def test_a_request_that_does_not_fit_stays(tmp_path: Path) -> None:
    with living(DEAF_SIBLING, tmp_path), joined(tmp_path) as siblings, connected() as connection:
        siblings.opened()
        assert not siblings.hand_over(connection.fileno(), bytes(1 << 24))
        assert siblings.hand_over(connection.fileno(), REQUEST)


async def test_who_has_not_joined_or_is_alone_keeps_everything(tmp_path: Path) -> None:
    stranger = Siblings(tmp_path)
    stranger.opened()
    with connected() as connection:
        assert not stranger.hand_over(connection.fileno(), REQUEST)
        with joined(tmp_path) as alone:
            alone.opened()
            assert not alone.hand_over(connection.fileno(), REQUEST)


@contextmanager
def joined(run_dir: Path) -> Iterator[Siblings]:
    siblings = Siblings(run_dir)
    siblings.join(asyncio.Protocol)
    try:
        yield siblings
    finally:
        siblings.leave()

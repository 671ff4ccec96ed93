"""Acceptor: connections go to the worker that has the fewest, and none is lost."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect

from server.connections.acceptor import MOVE_EVERY_S, Acceptor, ConnectionCount
from server.roster import Load, Roster, Slot, Stage
from testkit.patience import PATIENCE_S
from testkit.service import LiveService, running_service

WORKERS = 3


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    directory: Path = tmp_path_factory.mktemp("service")
    with running_service(directory, workers=WORKERS, pool_size=1) as service:
        yield service


@asynccontextmanager
async def open_sockets(service: LiveService, count: int, at_once: int = 1) -> AsyncIterator[list[ClientConnection]]:
    openings = asyncio.Semaphore(at_once)

    async def greeted(number: int) -> ClientConnection:
        async with openings:
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
    """Wait until every worker accepts connections and counts no socket of an earlier test."""
    answered: set[int] = set()
    for _ in range(600):
        answered.add(service.get("/api/health/").json()["pid"])
        if answered >= {worker.pid for worker in workers(service)} and not any(shares_of(service)):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{answered} answered, the workers' sockets are {shares_of(service)}")


@pytest.mark.parametrize("count", [WORKERS, 10])
async def test_sockets_are_shared_out_evenly(service: LiveService, count: int) -> None:
    await until_idle(service)
    async with open_sockets(service, count) as sockets:
        shares = shares_of(service)
        assert all([await answers(opened) for opened in sockets])
    assert sum(shares) == count
    assert shares[-1] - shares[0] <= 1


@pytest.mark.parametrize("count", [10, 45])
async def test_a_burst_is_shared_out_evenly(service: LiveService, count: int) -> None:
    await bursts_are_shared_out(service, count)


async def test_a_burst_on_two_workers_is_shared_out_evenly(tmp_path: Path) -> None:
    with running_service(tmp_path, workers=2, pool_size=1) as service:
        await bursts_are_shared_out(service, 12)


async def bursts_are_shared_out(service: LiveService, count: int) -> None:
    """None is lost, and none of six bursts lies unevenly."""
    for _ in range(6):
        await until_idle(service)
        async with open_sockets(service, count, at_once=count) as sockets:
            shares = shares_of(service)
            assert all([await answers(opened) for opened in sockets])
        assert sum(shares) == count
        assert shares[-1] - shares[0] <= 1, shares


async def test_connections_that_are_kept_are_shared_out_evenly(tmp_path: Path) -> None:
    """Else one worker would have most requests of clients that keep their connections, for as long as they do."""
    with running_service(tmp_path, workers=2, pool_size=1) as service:
        for _ in range(3):
            await until_idle(service)
            with ExitStack() as stack:
                for _ in range(8):
                    assert status_of_health(stack.enter_context(closing(kept_connection(service)))) == 200
                shares = shares_of(service)
            assert sum(shares) == 8
            assert shares[-1] - shares[0] <= 1, shares


async def test_kept_connections_move_to_a_worker_that_could_not_accept_them(tmp_path: Path) -> None:
    """As to one that was busy, or has just started: their clients keep them for hours."""
    with running_service(tmp_path, workers=2, pool_size=1) as service:
        await until_idle(service)
        standing, _ = workers(service)
        standing.suspend()
        with ExitStack() as stack:
            clients = [stack.enter_context(closing(kept_connection(service))) for _ in range(8)]
            assert [status_of_health(one) for one in clients] == [200] * 8
            assert shares_of(service) == [0, 8]
            standing.resume()
            deadline = time.monotonic() + PATIENCE_S
            while (shares := shares_of(service)) != [4, 4]:
                assert time.monotonic() < deadline, shares
                assert [status_of_health(one) for one in clients] == [200] * 8
            stays = [one.sock for one in clients]
            for _ in range(20):
                assert [status_of_health(one) for one in clients] == [200] * 8
            assert [one.sock for one in clients] == stays


def kept_connection(service: LiveService) -> HTTPConnection:
    return HTTPConnection(service.base_url.partition("//")[2], timeout=PATIENCE_S)


def status_of_health(client: HTTPConnection) -> int:
    client.request("GET", "/api/health/")
    answer = client.getresponse()
    answer.read()
    return answer.status


async def test_sockets_of_other_workers_outlive_a_dead_one(service: LiveService) -> None:
    async with open_sockets(service, 3 * WORKERS) as sockets:
        victim = workers(service)[0]
        lost = sockets_of(victim, service)
        victim.kill()
        victim.wait(10)
        async with open_sockets(service, 6) as later:
            assert all([await answers(opened) for opened in later])
        alive = await asyncio.gather(*(answers(opened) for opened in sockets), return_exceptions=True)
    assert alive.count(True) == len(sockets) - lost


class Accepted(asyncio.Protocol):
    def __init__(self, accepted: list[Accepted]) -> None:
        accepted.append(self)


@pytest.fixture
def slots() -> tuple[Slot, Slot]:
    """The slots of this worker and another, both ready."""
    roster = Roster()
    mine, other = roster.enter(), roster.enter()
    mine.stage = other.stage = Stage.READY
    return mine, other


@asynccontextmanager
async def accepting(sockets: ConnectionCount) -> AsyncIterator[tuple[list[Accepted], Callable[[], socket.socket]]]:
    """The protocols of accepted connections, and a way to connect."""
    accepted: list[Accepted] = []
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        address = listener.getsockname()
        acceptor = Acceptor(listener, sockets, lambda: Accepted(accepted))
        try:
            yield accepted, lambda: stack.enter_context(socket.create_connection(address))
        finally:
            acceptor.close()


async def became(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  the conditions are other people's objects
            await asyncio.sleep(0.005)


async def test_a_worker_ahead_accepts_what_no_other_accepts(slots: tuple[Slot, Slot]) -> None:
    mine, _ = slots
    sockets = ConnectionCount(mine)
    sockets.opened()
    async with accepting(sockets) as (accepted, connect_to_it):
        for _ in range(40):
            connect_to_it()
        await became(lambda: len(accepted) == 40)
    assert mine.load.sockets == 1 + 40


async def test_a_worker_behind_accepts_its_share_at_once(slots: tuple[Slot, Slot]) -> None:
    """Else a busy worker, whose event loop turns slowly, would slow down those that wait for it."""
    mine, other = slots
    other.load = Load(40)
    async with accepting(ConnectionCount(mine)) as (_, connect_to_it):
        for _ in range(40):
            connect_to_it()
        for _ in range(3):
            await asyncio.sleep(0)
        assert mine.load.sockets == 40


async def test_a_worker_that_only_loses_sockets_is_not_waited_for(slots: tuple[Slot, Slot]) -> None:
    mine, other = slots
    other.load = Load(100_000)
    sockets = ConnectionCount(mine)
    mine.load = Load(200_000)
    async with accepting(sockets) as (accepted, connect_to_it):
        connect_to_it()
        async with asyncio.timeout(PATIENCE_S):
            while not accepted:
                other.load = Load(other.load.sockets - 1)
                await asyncio.sleep(0)
        assert other.load.sockets > 0


@pytest.mark.parametrize("count", [ConnectionCount.opened, ConnectionCount.add_new, ConnectionCount.add_plain])
async def test_a_worker_ahead_yields_to_another(
    slots: tuple[Slot, Slot], count: Callable[[ConnectionCount], None]
) -> None:
    mine, other = slots
    ahead, behind = ConnectionCount(mine), ConnectionCount(other)
    count(ahead)
    accepted: dict[str, list[Accepted]] = {"ahead": [], "behind": []}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        first = Acceptor(listener, ahead, lambda: Accepted(accepted["ahead"]))
        second = Acceptor(listener.dup(), behind, lambda: Accepted(accepted["behind"]))
        with socket.create_connection(listener.getsockname()):
            await became(lambda: bool(accepted["ahead"] or accepted["behind"]))
        first.close()
        second.close()
    assert (len(accepted["ahead"]), len(accepted["behind"])) == (0, 1)


async def test_plain_connections_move_one_by_one_until_the_other_has_as_many(slots: tuple[Slot, Slot]) -> None:
    mine, other = slots
    count = ConnectionCount(mine)
    for _ in range(5):
        count.add_plain()
    assert count.claim_move(10.0)
    assert not count.claim_move(10.0 + MOVE_EVERY_S / 2)
    assert count.claim_move(11.0)
    assert not count.claim_move(12.0), "three and two, when these have moved"
    for number in (1, 2):
        count.remove_plain(was_moved=True)
        other.load = Load(0, number)
    assert not count.claim_move(13.0)
    count.opened()
    other.load = Load(2, 0)
    assert not count.claim_move(14.0), "it has fewer sockets"
    other.load = Load(1, 0)
    assert count.claim_move(15.0)
    other.stage = Stage.STARTING
    assert not count.claim_move(16.0)


async def test_sockets_outweigh_plain_connections(slots: tuple[Slot, Slot]) -> None:
    """A worker with the fewest sockets accepts at once, however many plain connections it has."""
    mine, other = slots
    other.load = Load(2, 0)
    count = ConnectionCount(mine)
    for _ in range(50):
        count.add_plain()
    async with accepting(count) as (_, connect_to_it):
        connect_to_it()
        for _ in range(3):
            await asyncio.sleep(0)
        assert mine.load == Load(1, 50)


async def test_a_worker_waits_less_for_one_that_has_only_fewer_plain_connections(
    slots: tuple[Slot, Slot], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.connections.acceptor.MAX_YIELDS", 10**9)
    count = ConnectionCount(slots[0])
    count.add_plain()
    async with accepting(count) as (accepted, connect_to_it):
        connect_to_it()
        await became(lambda: len(accepted) == 1)


async def test_a_worker_that_is_no_longer_ahead_accepts_at_once(
    slots: tuple[Slot, Slot], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else connections that ask once, and are gone within a millisecond, would be accepted one in a pause."""
    monkeypatch.setattr("server.connections.acceptor.YIELD_S", 3600.0)
    count = ConnectionCount(slots[0])
    count.add_new()
    async with accepting(count) as (accepted, connect_to_it):
        connect_to_it()
        await asyncio.sleep(0.05)
        assert not accepted
        count.remove_new()
        await became(lambda: len(accepted) == 1)


async def test_a_new_connection_counts_until_it_becomes_a_socket(slots: tuple[Slot, Slot]) -> None:
    sockets = ConnectionCount(slots[0])
    sockets.add_new()
    assert slots[0].load.sockets == 1
    sockets.opened()
    sockets.remove_new()
    assert slots[0].load.sockets == 1
    sockets.closed()
    assert slots[0].load.sockets == 0


async def test_a_closed_acceptor_leaves_waiting_connections_to_the_others(slots: tuple[Slot, Slot]) -> None:
    accepted: list[Accepted] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        acceptor = Acceptor(listener.dup(), ConnectionCount(slots[0]), lambda: Accepted(accepted))
        acceptor.close()
        with socket.create_connection(address):
            listener.settimeout(10)
            connection, _ = listener.accept()
            connection.close()
    assert not accepted


async def test_a_worker_out_of_descriptors_accepts_later(
    slots: tuple[Slot, Slot], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("server.connections.acceptor.ACCEPT_RETRY_S", 0.01)
    accepted: list[Accepted] = []
    with Exhausted(socket.create_server(("127.0.0.1", 0))) as listener:
        acceptor = Acceptor(listener, ConnectionCount(slots[0]), lambda: Accepted(accepted))
        with socket.create_connection(listener.getsockname()):
            await became(lambda: len(accepted) == 1)
        acceptor.close()
    assert "Too many open files" in caplog.text


class Exhausted(socket.socket):
    """A listener of a process that has no descriptor left when it first accepts."""

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(fileno=listener.detach())
        self._failures = 1

    def accept(self) -> tuple[socket.socket, object]:
        if self._failures:
            self._failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()

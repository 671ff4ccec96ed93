"""Nobody notices that workers are replaced, whatever the reason."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from bench.reload import kept
from bench.reload.disturbances import Mode, disturb
from bench.reload.people import Filmed, Performing, Person, rehearsed
from bench.reload.requests import RequestTally, ask_again_and_again
from bench.reload.sessions import SessionTally, Visitor
from testkit import loopback
from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY, LiveService, free_port, running_command, running_service
from testkit.stream_client import Message
from tests.conftest import needs_shared_data
from tests.service.sessions.streams import clip, jpegs

WORKERS = 2
WARM_UP_S = 5.0
LOOK_EVERY_S = 0.1


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """A service whose workers take WARM_UP_S longer to start than they need, and which forgives failures.

    Four workers on a busy machine are so slow that a clip begins anew before its session is decided.
    """
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "bench.reload.slow_start:application", "-c", "gunicorn_config.py"]
    environment = {
        "BENCH_WARM_UP_S": f"{WARM_UP_S}",
        "FACE_ATTEMPTS_LIMIT": "1000",
        "FACE_MESH_POOL_SIZE": "1",
        "FACE_DRAIN_S": "1",
        "FACE_DUPLICATE_CHECK": "false",
        "PYTHONPATH": str(REPOSITORY),
    }
    with running_command(
        [*command, "-w", str(WORKERS), "-b", f"127.0.0.1:{port}"],
        port,
        tmp_path_factory.mktemp("reloaded"),
        REPOSITORY / "face_recognition_app",
        environment,
    ) as service:
        yield service


@pytest.fixture(scope="module")
def cramped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """A service whose every worker is larger than it may be."""
    environment = {"FACE_WORKER_MAX_MEMORY_MB": "64", "FACE_DRAIN_S": "2"}
    with running_service(
        tmp_path_factory.mktemp("cramped"), workers=WORKERS, pool_size=1, environment=environment
    ) as service:
        yield service


async def disturbed(service: LiveService, mode: Mode, rounds: int, pause_s: float) -> tuple[RequestTally, SessionTally]:
    """Two people authenticate, two enrol and four clients ask while it is done."""
    frames = jpegs(clip("pwij3p"))
    await enroll(service, "regular", frames[5])
    performer = await asyncio.to_thread(rehearsed)
    regular = Filmed("regular", frames[::2])
    people: list[Person] = [Performing(f"{mode}-{number}", performer) for number in range(2)] + [regular] * 2
    requests, sessions, over = RequestTally(), SessionTally(), asyncio.Event()
    async with service.client() as client:
        clients = [
            asyncio.create_task(ask_again_and_again(service.base_url, service.api_key, number, over, requests))
            for number in range(4)
        ] + [asyncio.create_task(Visitor(client, person, 4, sessions).come_again_and_again(over)) for person in people]
        await disturb(service, mode, rounds, pause_s, WORKERS)
        over.set()
        await asyncio.gather(*clients)
    assert sessions.lost == []
    assert sessions.mistakes == []
    assert sum(sessions.decided.values()) >= len(people)
    assert set(sessions.reconnects), "nobody streamed to what was replaced"
    assert await asyncio.to_thread(kept.mistakes, service, sessions.ids, sessions.enrolled) == []
    return requests, sessions


@needs_shared_data
async def test_reloads_and_workers_more_and_fewer_cost_nobody_an_answer_or_a_decision(service: LiveService) -> None:
    before = await settled(service)
    within_the_warm_up = WARM_UP_S / 2
    requests, sessions = await disturbed(service, "changes", 1, within_the_warm_up)
    assert not before & workers(service)
    assert requests.failures + sessions.repeated == []
    assert max(wait for _, wait in requests.waits) < WARM_UP_S, "somebody waited for a worker to warm up"


@needs_shared_data
async def test_killed_workers_cost_nobody_a_decision(service: LiveService) -> None:
    await settled(service)
    requests, sessions = await disturbed(service, "kills", 3, WARM_UP_S)
    failed = requests.failures + sessions.repeated
    assert all(failure.broken_off for failure in failed), failed
    assert len(failed) <= 3 * 8, "only what was in flight in a killed worker"


async def test_who_stays_too_long_is_told_to_connect_again(service: LiveService) -> None:
    await settled(service)
    async with connect(address(service, 1)) as opened:
        assert await answers(opened)
        os.kill(service.pid, signal.SIGHUP)
        told = await read_to_the_end(opened)
    assert {message["type"] for message in told} == {"server_draining"}
    assert all(0 < message["reconnect_after_ms"] <= 2_000 for message in told)
    assert opened.close_code == 1012


async def test_a_worker_that_is_told_to_end_is_replaced_first(service: LiveService) -> None:
    before = await settled(service)
    os.kill(min(before), signal.SIGTERM)
    await until(lambda: len(workers(service) - before) == 1)
    assert min(before) in workers(service), "it serves while the new one warms up"
    after = await settled(service)
    assert min(before) not in after
    assert len(after) == WORKERS


async def test_one_worker_more_and_one_fewer(service: LiveService) -> None:
    before = await settled(service)
    os.kill(service.pid, signal.SIGTTIN)
    await until(lambda: len(ready(service)) == WORKERS + 1)
    os.kill(service.pid, signal.SIGTTOU)
    after = await settled(service)
    assert len(after - before) == 1


async def test_a_release_that_cannot_start_leaves_the_old_workers_serving(tmp_path: Path) -> None:
    """The application's module is replaced by one that fails to load, as a broken release would be, and mended."""
    module = tmp_path / "release.py"
    good = "from face_app.asgi import application\n"
    module.write_text(good)
    port = free_port()
    command = [sys.executable, "-B", "-m", "gunicorn", "release:application", "-c", "gunicorn_config.py", "-w", "1"]
    environment = {"PYTHONPATH": f"{tmp_path}", "FACE_MESH_POOL_SIZE": "1", "FACE_DRAIN_S": "1"}
    with running_command(
        [*command, "-b", f"127.0.0.1:{port}"], port, tmp_path, REPOSITORY / "face_recognition_app", environment
    ) as service:
        before = workers(service)
        module.write_text("raise RuntimeError('a broken release')\n")
        os.kill(service.pid, signal.SIGHUP)
        await until(lambda: service.log.read_text().count("a broken release") >= 2)
        assert service.get("/api/health/").json()["pid"] in before
        module.write_text(good)
        await until(lambda: not workers(service) & before)
        assert len(await settled(service, 1)) == 1


async def test_workers_end_with_their_master_and_free_its_port(tmp_path: Path) -> None:
    with running_service(tmp_path, workers=WORKERS, pool_size=1) as service:
        orphans = [psutil.Process(pid) for pid in workers(service)]
        port = int(service.base_url.rpartition(":")[2])
        os.kill(service.pid, signal.SIGKILL)
        await until(lambda: not any(listens(orphan, port) for orphan in orphans))
        _, alive = await asyncio.to_thread(psutil.wait_procs, orphans, PATIENCE_S)
        assert alive == []


async def test_a_worker_that_is_too_large_is_replaced_and_tells_who_it_serves(cramped: LiveService) -> None:
    before = await settled(cramped)
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(connect(address(cramped, n))) for n in range(4)]
        assert all([await answers(opened) for opened in sockets])
        await until(lambda: len(before & workers(cramped)) == 1)
        assert len(await settled(cramped)) == WORKERS
        cut_off = [opened for opened in sockets if opened.state is State.CLOSED]
        for opened in cut_off:
            assert {message["type"] for message in await read_to_the_end(opened)} == {"server_draining"}
            assert opened.close_code == 1012
        assert all([await answers(opened) for opened in sockets if opened not in cut_off])
    assert "FACE_WORKER_MAX_MEMORY_MB" in cramped.log.read_text()
    assert "Traceback" not in cramped.log.read_text()


async def enroll(service: LiveService, subject: str, picture: bytes) -> None:
    async with loopback.client(base_url=service.base_url, timeout=30) as client:
        answer = await client.post(
            f"/api/v1/subjects/{subject}/templates/",
            files={"images": ("portrait.jpg", picture, "image/jpeg")},
            headers={"Authorization": f"Bearer {service.api_key}"},
        )
    assert answer.json()["rejected"] == []


async def answers(opened: ClientConnection) -> bool:
    await opened.send('{"type":"ping"}')
    while (message := json.loads(await asyncio.wait_for(opened.recv(), 10)))["type"] != "pong":
        assert message["type"] in ("connection_established", "server_draining")
    return True


async def read_to_the_end(opened: ClientConnection) -> list[Message]:
    """What is told until the server closes."""
    async with asyncio.timeout(PATIENCE_S):
        told: list[Message] = []
        with suppress(ConnectionClosed):
            async for text in opened:
                told.append(json.loads(text))  # noqa: PERF401  the connection ends with an error
        return told


async def settled(service: LiveService, number: int = WORKERS) -> set[int]:
    """The workers, once they are `number` and all of them are ready."""
    await until(lambda: len(workers(service)) == number and workers(service) == ready(service))
    return workers(service)


def address(service: LiveService, number: int) -> str:
    return f"{service.base_url.replace('http', 'ws')}/ws/auth/process-image/test_{number}/"


def workers(service: LiveService) -> set[int]:
    return {worker.pid for worker in psutil.Process(service.pid).children()}


def ready(service: LiveService) -> set[int]:
    return {worker["pid"] for worker in service.get("/api/pool/status/").json()["workers"]}


def listens(worker: psutil.Process, port: int) -> bool:
    try:
        return any(one.laddr.port == port and one.status == psutil.CONN_LISTEN for one in worker.net_connections("tcp"))
    except psutil.NoSuchProcess:
        return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110  other processes set no events
            await asyncio.sleep(LOOK_EVERY_S)

"""A worker that dies costs nobody anything that was answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator

import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from testkit.patience import PATIENCE_S
from testkit.service import LiveService, running_service
from testkit.stream_client import Message, StreamResult, play
from tests.conftest import needs_shared_data
from tests.service.sessions.streams import clip, jpegs

pytestmark = needs_shared_data


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    """A service of this module's own, since its workers are killed."""
    with running_service(tmp_path_factory.mktemp("mortal"), workers=2, pool_size=2) as service:
        yield service


async def test_an_enrolment_survives_the_death_of_its_worker(service: LiveService) -> None:
    frames = jpegs(clip("pwij3p"))
    async with service.client() as client:
        created = await client.create_session("enrollment", "survivor", "none")
        async with connect(created.websocket_url, compression=None) as socket:
            await socket.recv()
            told = await _stream_until_first_sample(socket, frames)
            victim = _worker_of(service, socket)
            os.kill(victim, signal.SIGKILL)
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        resumed = await _play_again(created.websocket_url, frames[told["seq"] :])
        session = await client.session(created.id)
    assert resumed.messages[0]["resumed"] is True
    assert resumed.messages[1]["samples"]["accepted"] >= told["samples"]["accepted"]
    assert resumed.completed is not None
    assert resumed.completed["success"]
    assert session["status"] == "succeeded"
    assert service.get("/api/v1/subjects/survivor/").json()["templates"] == 3


def test_the_status_names_the_living_and_only_them(service: LiveService) -> None:
    before = {worker["pid"] for worker in _status(service)["workers"]}
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(victim)], timeout=10)
    after = _wait_for_two_workers_without(service, victim)
    assert victim not in {worker["pid"] for worker in after["workers"]}
    assert after["pool_size"] == after["max_size"] == 4
    for field in ("pool_size", "max_size", "available", "in_use", "waiting", "exhausted_total", "recycled_total"):
        assert after[field] == sum(worker[field] for worker in after["workers"])


async def _stream_until_first_sample(socket: ClientConnection, frames: list[bytes]) -> Message:
    for frame in frames:
        await socket.send(frame)
        answer: Message = json.loads(await socket.recv())
        if answer["samples"]["accepted"] >= 1:
            return answer
    raise AssertionError("no frame gave a sample")


async def _play_again(address: str, frames: list[bytes]) -> StreamResult:
    """As a client that reconnects: whoever the dying worker had just accepted is cut off, and tries once more."""
    for _ in range(5):
        with contextlib.suppress(ConnectionResetError, InvalidHandshake):
            return await play(address, frames)
        await asyncio.sleep(0.2)
    raise AssertionError("no worker took the connection")


def _worker_of(service: LiveService, socket: ClientConnection) -> int:
    """The process that holds the server's end of this socket."""
    client_port = socket.local_address[1]
    for worker in psutil.Process(service.pid).children():
        if any(c.raddr and c.raddr.port == client_port for c in worker.net_connections("tcp")):
            return worker.pid
    raise AssertionError("no worker holds the socket")


def _status(service: LiveService) -> Message:
    status: Message = service.get("/api/pool/status/").json()
    return status


def _wait_for_two_workers_without(service: LiveService, victim: int) -> Message:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        status = _status(service)
        pids = [worker["pid"] for worker in status["workers"]]
        assert victim not in pids, "a dead worker is named"
        if len(pids) == 2:
            return status
        time.sleep(0.1)
    raise AssertionError("the worker was not replaced in time")

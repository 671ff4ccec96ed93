"""A worker whose every compute thread is stuck in C code is replaced, and the service goes on."""

from __future__ import annotations

import asyncio
import fcntl
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx
import psutil
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from testkit.clips import astronaut, encode_jpeg
from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY, LiveService, free_port, running_command

STUCK_AFTER_MS = 1_000
CURSE = b"this picture never ends"
"""Behind the end of a JPEG."""
CONFIG = f"""
import fcntl, os

from gunicorn_config import *


def post_worker_init(worker):
    from core.face_recognition_engine import FaceRecognitionEngine

    analyse = FaceRecognitionEngine.analyse

    def cursed(self, data, *arguments, **options):
        if data.endswith({CURSE!r}):
            with open(os.environ["HELD_LOCK"]) as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
        return analyse(self, data, *arguments, **options)

    FaceRecognitionEngine.analyse = cursed
"""


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[IO[str]]:
    """Held, so that whoever waits for it does so inside the system."""
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


@contextmanager
def service_that_can_be_stuck(directory: Path) -> Iterator[LiveService]:
    config = directory / "cursed_config.py"
    config.write_text(CONFIG)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "face_app.asgi:application", "-c", str(config)]
    command += ["--bind", f"127.0.0.1:{port}", "--workers", "2"]
    environment = {
        "PYTHONPATH": str(REPOSITORY / "face_recognition_app"),
        "FACE_STUCK_AFTER_MS": f"{STUCK_AFTER_MS}",
        "HELD_LOCK": str(directory / "lock"),
    }
    with running_command(command, port, directory, REPOSITORY / "face_recognition_app", environment) as service:
        yield service


@pytest.mark.usefixtures("lock")
async def test_a_worker_without_a_thread_left_is_replaced(tmp_path: Path) -> None:
    with service_that_can_be_stuck(tmp_path) as service:
        before = await two_workers(service, without=set())
        async with connect(address(service, 1)) as socket:
            victim = worker_of(service, socket)
            await socket.send(encode_jpeg(astronaut()) + CURSE)
            await until(lambda: stuck_workers(service) == {victim}, "the status named who is stuck")
            goodbye = await messages_until_closed(socket)
            assert socket.close_code == 1012
            assert "server_draining" in goodbye, "who is not stuck is told before"
        replaced = await two_workers(service, without={victim})
        assert len(replaced & before) == 1, "the other one stays"
        async with connect(address(service, 2)) as again:
            await again.send(encode_jpeg(astronaut()))
            assert await answer(again, "frame_processed")
        log = service.log.read_text()
        assert "stuck: a frame of session sandbox-" in log
        assert "fcntl.flock" in log, "the line at which it is stuck"
        assert "all 1 threads that compute are stuck: this worker ends" in log


def address(service: LiveService, number: int) -> str:
    return f"{service.base_url.replace('http', 'ws')}/ws/auth/process-image/test_{number}/"


def worker_of(service: LiveService, socket: ClientConnection) -> int:
    """The process that holds the server's end of this socket."""
    client_port = socket.local_address[1]
    for worker in psutil.Process(service.pid).children():
        if any(c.raddr and c.raddr.port == client_port for c in worker.net_connections("tcp")):
            return worker.pid
    raise AssertionError("no worker holds the socket")


def stuck_workers(service: LiveService) -> set[int]:
    workers = service.get("/api/pool/status/").json()["workers"]
    return {one["pid"] for one in workers if one["stuck"] == 1 and one["oldest_work_ms"] > STUCK_AFTER_MS}


async def messages_until_closed(socket: ClientConnection) -> set[str]:
    types: set[str] = set()
    async with asyncio.timeout(PATIENCE_S):
        try:
            while True:
                types.add(json.loads(await socket.recv())["type"])
        except ConnectionClosed:
            return types


async def answer(socket: ClientConnection, type_: str) -> dict[str, object]:
    async with asyncio.timeout(PATIENCE_S):
        while (message := json.loads(await socket.recv()))["type"] != type_:
            pass
    found: dict[str, object] = message
    return found


async def two_workers(service: LiveService, without: set[int]) -> set[int]:
    pids: set[int] = set()

    def there() -> bool:
        pids.clear()
        pids.update(one["pid"] for one in service.get("/api/pool/status/").json()["workers"])
        return len(pids) == 2 and not pids & without

    await until(there, "two workers are there")
    return pids


async def until(true: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                if await asyncio.to_thread(true):
                    return
            except httpx.TransportError:  # As the worker ends; the next request goes to the other one.
                pass
            await asyncio.sleep(0.1)
    raise AssertionError(f"never came true: {what}")

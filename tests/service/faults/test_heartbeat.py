"""A worker whose event loop hangs is replaced; one that is only busy is not. The hooks tell of both."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import psutil
import pytest
from websockets.asyncio.client import connect

from testkit import loopback
from testkit.clips import astronaut, encode_jpeg
from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY, LiveService, free_port, running_command
from tests.service.faults.misbehaving import SLOW
from tests.service.faults.test_stuck_worker import address, answer, two_workers, until, worker_of

TIMEOUT_S = 3
SLOW_FRAME_S = 3 * TIMEOUT_S


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "tests.service.faults.misbehaving:application"]
    command += ["-c", "gunicorn_config.py", "--bind", f"127.0.0.1:{port}", "--workers", "2"]
    environment = {
        "PYTHONPATH": str(REPOSITORY),
        "GUNICORN_TIMEOUT": f"{TIMEOUT_S}",
        "SLOW_FRAME_S": f"{SLOW_FRAME_S}",
        "FACE_STUCK_AFTER_MS": f"{1000 * 10 * SLOW_FRAME_S}",
        "FACE_DRAIN_S": "1",
    }
    directory = tmp_path_factory.mktemp("heartbeat")
    with running_command(command, port, directory, REPOSITORY / "face_recognition_app", environment) as service:
        yield service


async def test_a_slow_frame_in_a_thread_is_work_and_no_hang(service: LiveService) -> None:
    before = await two_workers(service, without=set())
    async with connect(address(service, 1)) as socket:
        busy = worker_of(service, socket)
        await socket.send(encode_jpeg(astronaut()) + SLOW)
        processed = await answer(socket, "frame_processed")
    assert float(str(processed["processing_ms"])) > 1000 * TIMEOUT_S, "it took longer than a heartbeat may"
    assert busy in before
    assert await two_workers(service, without=set()) == before
    assert "WORKER TIMEOUT" not in service.log.read_text()


async def test_a_loop_that_hangs_ends_its_worker_and_the_log_tells_where(service: LiveService) -> None:
    before = await two_workers(service, without=set())
    with ThreadPoolExecutor(1) as asking, suppress(httpx.TransportError):
        asking.submit(loopback.get, f"{service.base_url}/block-the-loop", timeout=PATIENCE_S).result()
    await until(lambda: "WORKER TIMEOUT" in service.log.read_text(), "the master noticed")
    [hung] = {int(pid) for pid in re.findall(r"WORKER TIMEOUT \(pid:(\d+)\)", service.log.read_text())}
    after = await two_workers(service, without={hung})
    assert before - after == {hung}, "the other one stays"
    log = service.log.read_text()
    assert "in hold_up_the_loop" in log, "the line at which it hung"
    assert f"lifecycle child_exit: worker {hung} has ended, ready before" in log


async def test_every_hook_that_fires_leaves_a_line(service: LiveService) -> None:
    """Of those that Gunicorn has, `worker_int`, `worker_abort` and those of a request never do in this worker."""
    before = await two_workers(service, without=set())
    os.kill(service.pid, signal.SIGHUP)
    after = await two_workers(service, without=before)
    await until(lambda: not any(psutil.pid_exists(pid) for pid in before), "the old ones ended")
    log = service.log.read_text()
    for hook in ("on_starting: as development", "when_ready: listening", "nworkers_changed: 2 workers", "on_reload: "):
        assert f"lifecycle {hook}" in log
    for pid in before | after:
        assert re.search(rf"lifecycle post_fork: worker {pid} in slot \d+", log)
        assert f"lifecycle post_worker_init: worker {pid} has loaded" in log
    for pid in before:
        assert f"lifecycle worker_exit: worker {pid} ends" in log, (
            "one that ends by itself says so, a killed one cannot"
        )
        assert f"lifecycle child_exit: worker {pid} has ended, draining before" in log
    assert log.count("lifecycle pre_fork: slot") == log.count("lifecycle post_fork: worker")

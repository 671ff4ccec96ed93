"""The process with the engine for jobs lives no longer than its worker."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.workers.deaths import is_alive
from recognition.background.engine import messages, process
from recognition.background.engine.messages import Ready
from recognition.background.engine.process import Server
from recognition.worker import Worker
from testkit.patience import PATIENCE_S


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with messages.listen(tmp_path / "engine") as listener:
        yield listener


@pytest.fixture
def job_worker() -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen(["sleep", "infinity"])
    yield running
    running.kill()
    running.wait()


def test_it_ends_when_its_worker_has_ended(
    worker: Worker,
    listener: socket.socket,
    tmp_path: Path,
    job_worker: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long it would wait for another job: not before the one that it has now is over."""
    monkeypatch.setattr(process, "IDLE_S", float("inf"))
    with ThreadPoolExecutor(1) as threads:
        server = Server(worker.engine, worker.limits, threads)
        serving = threading.Thread(target=server.serve, args=(listener, lambda: is_alive(job_worker.pid)), daemon=True)
        serving.start()
        job = messages.connect(tmp_path / "engine")
        assert job is not None
        assert isinstance(job.recv(), Ready)
        job_worker.kill()
        job_worker.wait()
        assert serving.is_alive()
        job.close()
        serving.join(PATIENCE_S)
        assert not serving.is_alive()

"""The process with the engine for jobs lives no longer than its worker, and makes way for live work."""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from core.imaging.frames import ImageLimits
from jobs.workers.deaths import is_alive
from monitoring.pool_load import PoolLoad
from monitoring.watchdog import WorkState
from monitoring.worker_stats import WorkerStatsFile
from recognition.background.engine import messages, process, seeing
from recognition.background.engine.live_work import LASTS_S, LOOKS_EVERY_S, LiveWork
from recognition.background.engine.messages import Picture, Ready
from recognition.background.engine.process import Server
from recognition.worker import Worker
from testkit.job_site import wait_for
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
        server = Server(worker.engine, worker.limits, threads, LiveWork(tmp_path))
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


class WebWorker:
    """Publishes what a web worker with people before their cameras does."""

    def __init__(self, run_dir: Path) -> None:
        self.load = PoolLoad()
        self.file = WorkerStatsFile(run_dir, lambda: self.load, lambda: WorkState(0, None))

    def compute(self) -> None:
        counts = self.load.wait_counts
        self.load = replace(self.load, wait_counts=(counts[0] + 1, *counts[1:]))
        self.file.publish()


@pytest.fixture
def web_worker(tmp_path: Path) -> Iterator[WebWorker]:
    worker = WebWorker(tmp_path)
    worker.compute()
    yield worker
    worker.file.close()


def test_live_work_is_noticed_and_forgotten(tmp_path: Path, web_worker: WebWorker) -> None:
    now = 100.0
    live = LiveWork(tmp_path, lambda: now)
    assert not live.goes_on()
    web_worker.compute()
    now += LOOKS_EVERY_S
    assert live.goes_on()
    now += LASTS_S
    assert not live.goes_on()
    web_worker.compute()
    assert not live.goes_on(), "files are not read for each picture"
    now += LOOKS_EVERY_S
    assert live.goes_on()


def test_who_cannot_tell_makes_way(tmp_path: Path) -> None:
    """An error would leave a picture without its answer, and the import waiting for it."""
    (tmp_path / "workers" / "1").mkdir(parents=True)
    now = 100.0
    live = LiveWork(tmp_path, lambda: now)
    now += LOOKS_EVERY_S
    assert live.goes_on()


@pytest.mark.parametrize(("is_live", "at_once"), [(True, 1), (False, 3)])
def test_beside_live_work_it_computes_one_picture_at_a_time(
    worker: Worker,
    listener: socket.socket,
    tmp_path: Path,
    web_worker: WebWorker,
    monkeypatch: pytest.MonkeyPatch,
    is_live: bool,
    at_once: int,
) -> None:
    computing, most, together = 0, 0, threading.Condition()

    def see(engine: object, limits: ImageLimits, picture: Picture) -> str:
        nonlocal computing, most
        with together:
            computing += 1
            most = max(most, computing)
            together.notify_all()
            together.wait_for(lambda: most == 3, PATIENCE_S if at_once == 3 else 0.05)
        with together:
            computing -= 1
        return "seen"

    monkeypatch.setattr(seeing, "see", see)
    live = LiveWork(tmp_path)
    if is_live:
        monkeypatch.setattr("recognition.background.engine.live_work.LASTS_S", PATIENCE_S)
        web_worker.compute()
        assert wait_for(live.goes_on, "the live work is noticed")
    with ThreadPoolExecutor(3) as threads:
        server = Server(worker.engine, worker.limits, threads, live)
        is_wanted = threading.Event()
        is_wanted.set()
        serving = threading.Thread(target=server.serve, args=(listener, is_wanted.is_set), daemon=True)
        serving.start()
        job = messages.connect(tmp_path / "engine")
        assert job is not None
        assert isinstance(job.recv(), Ready)
        for _ in range(3):
            job.send("a picture")
        assert [job.recv() for _ in range(3)] == ["seen"] * 3
        is_wanted.clear()
        job.close()
        serving.join(PATIENCE_S)
    assert most == at_once

"""The threads of a worker process."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil

from config.settings import Settings
from face_app.lifespan import LOOP_THREADS
from testkit.clips import astronaut, encode_jpeg
from testkit.patience import PATIENCE_S
from testkit.service import LiveService, running_service
from testkit.stream_client import play

POOL_SIZE = 2
NETWORKS = 7
"""Face detector, both meshes, blendshapes, embedding, and two against spoofs, of which one may be missing."""
DUMP = signal.SIGRTMIN + 1
REQUESTS = 30
SOCKETS, FRAMES_AT_ONCE = 4, 500
UNHURRIED = {"FACE_MAX_MESSAGES_PER_SECOND": "100000", "FACE_ADMISSION_TIMEOUT_MS": "60000"}
TELL_THREADS = f"""\
import faulthandler, os
faulthandler.register({DUMP:d}, open(os.environ["DUMP_FILE"], "w"), all_threads=True)
"""


async def test_a_worker_has_the_threads_that_it_needs_and_no_others(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(TELL_THREADS)
    dump = tmp_path / "threads"
    # Empty counts as unset, also for what this process's own imports have put there.
    environment = {"PYTHONPATH": str(tmp_path), "DUMP_FILE": str(dump)}
    environment |= {"OPENBLAS_NUM_THREADS": "", "OPENCV_FOR_THREADS_NUM": ""}
    with running_service(tmp_path, workers=1, pool_size=POOL_SIZE, environment=environment) as service:
        (worker,) = psutil.Process(service.pid).children()
        address = service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_threads/"
        before = worker.num_threads()
        result = await play(address, [encode_jpeg(astronaut())] * 5, linger_s=0.1)
        assert sum(message["type"] == "frame_processed" for message in result.messages) == 5
        assert peak_of_threads_while_asked(worker, service) == before, "every thread is there from the start"
        of_python = python_threads(worker, service, dump)
        others = worker.num_threads() - of_python

    event_loop = of_django = 1
    assert of_python <= event_loop + of_django + POOL_SIZE + Settings().db_pool_size + LOOP_THREADS
    # OpenVINO reads the models with as many threads as there are cores, of which the caller is one; they sleep
    # afterwards. So do two threads of each graph, of which every network has one for each thread that computes: they
    # would serve who does not wait for an answer. None is numpy's or OpenCV's: each would add as many again.
    cores = os.cpu_count() or 1
    assert others <= cores - 1 + 2 * NETWORKS * min(POOL_SIZE, cores)


async def test_five_thousand_frames_later_a_worker_has_no_thread_more(tmp_path: Path) -> None:
    """Frames without a face, small ones: the point is their number."""
    with running_service(tmp_path, workers=1, pool_size=POOL_SIZE, environment=UNHURRIED) as service:
        await play_frames(service, 50)
        after_few = threads_told(service)
        await play_frames(service, 4_950)
        after_many = threads_told(service)
        (worker,) = psutil.Process(service.pid).children()
        assert after_many == worker.num_threads(), "the status and the metrics say what ps says"
        assert service.get("/api/pool/status/").json()["workers"][0]["threads"] == after_many
    assert abs(after_many - after_few) <= 1


async def play_frames(service: LiveService, number: int) -> None:
    """Over four sockets, which begin anew before a sandbox's time is over."""
    address = service.base_url.replace("http", "ws") + "/ws/auth/process-image/test_frames_{}/"
    picture = encode_jpeg(np.full((64, 64, 3), 128, np.uint8))
    left = number
    while left:
        batch = min(left, FRAMES_AT_ONCE)
        shares = [batch // SOCKETS + (one < batch % SOCKETS) for one in range(SOCKETS)]
        results = await asyncio.gather(
            *(play(address.format(one), [picture] * share, linger_s=0.1) for one, share in enumerate(shares))
        )
        answered = sum(len(result.latencies_ms) for result in results)
        assert answered == batch
        left -= batch


def threads_told(service: LiveService) -> int:
    [number] = re.findall(r'^face_worker_threads\{pid="\d+"\} (\d+)', service.get("/metrics").text, re.MULTILINE)
    return int(number)


def peak_of_threads_while_asked(worker: psutil.Process, service: LiveService) -> int:
    """Highest number of threads while requests are answered."""
    with ThreadPoolExecutor(1) as asking:
        asked = [asking.submit(service.get, "/api/v1/subjects/") for _ in range(REQUESTS)]
        peak = worker.num_threads()
        while not asked[-1].done():
            peak = max(peak, worker.num_threads())
    assert all(request.result().status_code == 200 for request in asked)
    return peak


def python_threads(worker: psutil.Process, service: LiveService, dump: Path) -> int:
    """Number of threads that the interpreter knows, by faulthandler's dump."""
    worker.send_signal(DUMP)
    deadline = time.monotonic() + PATIENCE_S
    while "Current thread" not in dump.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    service.get("/api/health/")  # Answered by the thread that dumps, which has written the last line then.
    return sum(line.startswith(("Thread 0x", "Current thread 0x")) for line in dump.read_text().splitlines())

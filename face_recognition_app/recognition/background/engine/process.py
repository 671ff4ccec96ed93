"""The process that has an engine for jobs:  python -m recognition.background.engine.process NUMBER WORKER

It serves one job at a time, and ends when none has come for a while, or when the process WORKER has ended. Every thread
of it has the lowest priority, from before the engine is loaded.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.face_recognition_engine import FaceRecognitionEngine
    from core.imaging.frames import ImageLimits
    from recognition.background.engine.live_work import LiveWork
    from recognition.background.engine.messages import Picture

logger = logging.getLogger(__name__)

IDLE_S = 20.0
LOOKS_EVERY_S = 1.0
LOWEST = 19
SWITCH_S = 0.0005
"""How long a thread keeps the interpreter's lock that another wants: a picture is taken and answered in less."""


def lower_priority() -> None:
    """Run only when nobody else wants the core, or as near to that as the system allows."""
    os.setpriority(os.PRIO_PROCESS, 0, LOWEST)
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except OSError as error:
        logger.info("the engine for jobs has nice %d, not SCHED_IDLE: %s", LOWEST, error)


class Server:
    """Answers one job after the other."""

    def __init__(
        self, engine: FaceRecognitionEngine, limits: ImageLimits, threads: ThreadPoolExecutor, live: LiveWork
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._threads = threads
        self._live = live
        self._beside_live = threading.Lock()
        """Held by the one thread that computes while live work goes on. Pictures on all cores drive what live frames
        need out of the caches: with two of them their p95 rises by 40 %, with one by 20 %."""

    def serve(self, listener: socket.socket, is_wanted: Callable[[], bool]) -> None:
        idle_since = time.monotonic()
        while time.monotonic() - idle_since < IDLE_S and is_wanted():
            if select.select([listener], [], [], LOOKS_EVERY_S)[0]:
                accepted, _ = listener.accept()
                with Connection(accepted.detach()) as job:
                    self._answer(job)
                idle_since = time.monotonic()

    def _answer(self, job: Connection) -> None:
        from recognition.background.engine.messages import Ready
        from recognition.background.engine.seeing import see

        sending = threading.Lock()

        def answer(picture: Picture) -> None:
            with self._beside_live if self._live.goes_on() else nullcontext():
                seen = see(self._engine, self._limits, picture)
            try:
                with sending:
                    job.send(seen)
            except OSError:
                logger.debug("the job has ended before its answer")

        pending: list[Future[None]] = []
        try:
            job.send(Ready())
            while True:
                pending = [one for one in pending if not one.done()]
                pending.append(self._threads.submit(answer, job.recv()))
        except (EOFError, OSError):
            for one in pending:
                one.cancel()
            for one in pending:
                if not one.cancelled():
                    one.result()


def main(number: int, worker: int) -> None:
    lower_priority()
    sys.setswitchinterval(SWITCH_S)
    import django

    django.setup()
    from config.service import service_settings
    from core.imaging.frames import ImageLimits
    from jobs.workers.deaths import is_alive
    from recognition.background.engine import messages, places
    from recognition.background.engine.live_work import LiveWork
    from recognition.deciding import Deciding
    from recognition.worker import load_engine

    settings = places.for_jobs(service_settings())
    # One that was started with other settings ends first: there are never more than so many.
    alone = places.held(places.running(settings, number), 2 * IDLE_S)
    if alone is None:
        return
    with alone:
        address = places.socket_of(settings, number)
        with messages.listen(address) as listener:
            engine = load_engine(Deciding.load(settings), settings.mesh_pool_size)
            try:
                with ThreadPoolExecutor(settings.compute_threads, "job engine") as threads:
                    limits = ImageLimits(settings.max_image_bytes, settings.max_image_pixels)
                    Server(engine, limits, threads, LiveWork(settings.run_dir)).serve(
                        listener, lambda: is_alive(worker)
                    )
            finally:
                address.unlink(missing_ok=True)
                engine.close()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

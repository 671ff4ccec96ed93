"""An engine without a server, in its own process, that analyses the frames of sandbox sessions."""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.engine.pools import drive
from bench.load.frames import Camera, jpegs, sources
from bench.load.process import Tell


@dataclass(frozen=True, slots=True)
class BareEngine:
    """The engine of one of `workers` processes that share `sessions` sandbox sessions; files go to `directory`."""

    directory: Path
    workers: int
    pool_size: int
    sessions: int


@dataclass(frozen=True, slots=True)
class BareJob:
    """Measures frames per second of the process's engine; its sessions continue from one job to the next."""

    engine: BareEngine
    seconds: float

    async def run(self, tell: Tell) -> float:
        return await asyncio.to_thread(self._drive)

    def _drive(self) -> float:
        return drive(_walkers(self.engine), self.seconds).per_s


@functools.cache
def _walkers(engine: BareEngine) -> Sequence[Callable[[], bool]]:
    """One walker for each compute thread of a worker."""
    os.environ["FACE_DATA_DIR"] = str(engine.directory)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "face_app.settings")
    import django

    django.setup()
    from bench.engine.sessions import BenchSession, sandbox_flow
    from config.settings import load
    from recognition.worker import Worker

    worker = Worker.start(load().model_copy(update={"workers": engine.workers, "mesh_pool_size": engine.pool_size}))
    sessions = [BenchSession(worker, sandbox_flow()) for _ in range(engine.sessions)]
    clips = [jpegs(source.path) for source in sources()[: engine.sessions]]
    cameras = [Camera(clips[n % len(clips)], random.Random(n)) for n in range(engine.sessions)]

    def walker(first: int) -> Callable[[], bool]:
        turns = itertools.cycle(list(zip(sessions, cameras, strict=True))[first::threads])

        def take_one() -> bool:
            session, camera = next(turns)
            return bool(session.take(camera.shoot())[0].faces)

        return take_one

    threads = min(worker.settings.compute_threads, engine.sessions)
    return [walker(first) for first in range(threads)]

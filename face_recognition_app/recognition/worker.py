"""The parts of one web worker, and access to them from views and sockets."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from django.http import HttpRequest

from config import embedders
from config.embedders import EMBEDDING_MODEL
from config.settings import Settings
from core.face_recognition_engine import EngineConfig, FaceRecognitionEngine, FormerEmbedder
from core.imaging.frames import ImageLimits
from database.calls import DatabaseThreads
from gallery.matching import Gallery
from monitoring.pool_load import PoolLoad
from monitoring.slow_frames import SlowFrames
from monitoring.watchdog import all_stuck, work_state
from monitoring.worker_stats import WorkerStatsFile
from recognition.deciding import Deciding
from recognition.enrolment import EnrolmentLines
from scheduling.executor import Executor
from server.connections.open_sockets import OpenSockets
from tenants.models import Tenant
from weights.catalogue import ensure_models

logger = logging.getLogger(__name__)

STATE_KEY = "worker"
"""Key of the worker in the lifespan state, which an ASGI server puts into every scope."""


@dataclass(frozen=True, slots=True)
class Worker:
    """Everything that one process serves with; the lifespan starts and closes it."""

    deciding: Deciding
    engine: FaceRecognitionEngine
    executor: Executor
    database: DatabaseThreads
    enrolments: EnrolmentLines
    stats_file: WorkerStatsFile
    slow_frames: SlowFrames
    open_sockets: OpenSockets = field(default_factory=OpenSockets)

    @classmethod
    def start(cls, settings: Settings) -> Worker:
        """Load and warm up everything; blocks for a second or two. Raises ModelError."""
        began = time.monotonic()
        deciding = Deciding.load(settings)
        engine = load_engine(deciding, settings.mesh_pool_size)
        with ExitStack() as undo:
            undo.callback(engine.close)
            worker = cls._around(engine, deciding)
            undo.pop_all()
        logger.info("worker ready in %.1f s: %d instances", time.monotonic() - began, settings.mesh_pool_size)
        return worker

    @classmethod
    def _around(cls, engine: FaceRecognitionEngine, deciding: Deciding) -> Worker:
        settings = deciding.settings
        executor = Executor(settings.compute_threads, settings.mesh_pool_size, settings.admission_timeout_ms / 1000)
        stats_file = WorkerStatsFile(
            settings.run_dir,
            lambda: PoolLoad.of(engine.pool_status(), executor.statistics()),
            partial(work_state, executor.threads, settings.stuck_after_s),
        )
        executor.on_change = stats_file.publish
        database, slow_frames = DatabaseThreads(settings.db_pool_size), SlowFrames(settings.slow_frame_ms)
        return cls(deciding, engine, executor, database, EnrolmentLines(database), stats_file, slow_frames)

    @property
    def settings(self) -> Settings:
        return self.deciding.settings

    async def gallery_of(self, tenant: Tenant) -> Gallery:
        """The gallery that serves the tenant: what embeds and compares its pictures. A request asks once."""
        if self.deciding.former is None:
            return self.deciding.gallery
        return await self.database.run(self.deciding.gallery_of, tenant)

    @property
    def limits(self) -> ImageLimits:
        return ImageLimits(self.settings.max_image_bytes, self.settings.max_image_pixels)

    @property
    def target_fps(self) -> int:
        """Frames per second that each session is currently asked to send."""
        return self.executor.pacer.target_fps(self.settings.target_fps)

    @property
    def is_stuck(self) -> bool:
        """Whether every compute thread is stuck."""
        return all_stuck(self.executor.threads, self.settings.stuck_after_s)

    def close(self) -> None:
        """Finish the work in progress, then release everything."""
        self.executor.close()
        self.database.close()
        self.stats_file.close()
        self.engine.close()


def load_engine(deciding: Deciding, pool_size: int) -> FaceRecognitionEngine:
    """An engine as the settings say, with `pool_size` instances.

    Raises ModelError, also for an embedder that is not the one that was measured.
    """
    settings, chosen, former = deciding.settings, deciding.embedder, embedders.former(deciding.settings)
    pinned = ensure_models(settings.model_dir, logger.info)
    return FaceRecognitionEngine.load(
        EngineConfig(
            backend=settings.mesh_backend,
            pool_size=pool_size,
            models=pinned | {EMBEDDING_MODEL: chosen.file(pinned)},
            borrow_timeout_s=settings.admission_timeout_ms / 1000,
            mesh_max_uses=settings.mesh_max_uses,
            threads=settings.compute_threads,
            refuse_bystanders=settings.bystanders == "refuse",
            least_length=chosen.profile.least_length,
            model_id=chosen.model_id,
            former=None
            if former is None
            else FormerEmbedder(former.model_id, former.file(pinned), former.profile.least_length),
        )
    )


class NoWorker(Exception):
    """No worker in the scope: the server ran no lifespan, or the worker has not started."""


def in_scope(scope: Mapping[str, Any]) -> Worker:
    """The worker that serves an ASGI scope. Raises NoWorker."""
    worker = scope.get("state", {}).get(STATE_KEY)
    if not isinstance(worker, Worker):
        raise NoWorker("no worker has started: the server must support ASGI's lifespan")
    return worker


def of_request(request: HttpRequest) -> Worker:
    """The worker that serves a view's request. Raises NoWorker."""
    return in_scope(request.scope)  # type: ignore[attr-defined]  # an ASGIRequest, which ninja's views do not name


def served_by(worker: Worker, application: ASGI3Application) -> ASGI3Application:
    """Wrap an application to put `worker` into every scope, for a server that runs no lifespan."""

    async def with_worker(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        served: Any = {**scope, "state": {**(scope.get("state") or {}), STATE_KEY: worker}}
        await application(served, receive, send)

    return with_worker

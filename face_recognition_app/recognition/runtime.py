"""What one worker holds for its whole life: engine, gallery, threads, keys."""

from __future__ import annotations

import functools
import logging
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from config.processes import of_this_process
from config.service import service_settings
from config.settings import Settings
from core.face_recognition_engine import EngineConfig, FaceRecognitionEngine
from core.imaging.frames import ImageLimits
from database.calls import DatabaseThreads
from gallery.matching import Gallery, exact_gallery
from gallery.people import EnrollmentRules
from monitoring.pool_load import PoolLoad
from monitoring.watchdog import all_stuck, work_state
from monitoring.worker_stats import WorkerBoard
from recognition.tokens.signing import Signer
from scheduling.executor import Executor
from weights.catalogue import MODELS, ensure_models

logger = logging.getLogger(__name__)
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Runtime:
    settings: Settings
    engine: FaceRecognitionEngine
    executor: Executor
    database: DatabaseThreads
    gallery: Gallery
    signer: Signer
    model_digests: dict[str, str]
    board: WorkerBoard

    @property
    def limits(self) -> ImageLimits:
        return ImageLimits(self.settings.max_image_bytes, self.settings.max_image_pixels)

    @property
    def target_fps(self) -> int:
        """Frames a second that each session is asked to send now."""
        return self.executor.pacer.target_fps(self.settings.target_fps)

    @property
    def rules(self) -> EnrollmentRules:
        return EnrollmentRules(self.settings.duplicate_check, self.settings.target_fpir, self.settings.target_fmr)

    @property
    def is_stuck(self) -> bool:
        """No thread is left to compute with."""
        return all_stuck(self.executor.threads, self.settings.stuck_after_s)

    def close(self) -> None:
        """Finish what is in work, then release everything."""
        self.executor.close()
        self.database.close()
        self.board.close()
        self.engine.close()


def build(settings: Settings) -> Runtime:
    """Load and warm up everything; takes a second or two."""
    began = time.monotonic()
    engine = FaceRecognitionEngine.load(
        EngineConfig(
            backend=settings.mesh_backend,
            pool_size=settings.mesh_pool_size,
            models=ensure_models(settings.model_dir, logger.info),
            borrow_timeout_s=settings.admission_timeout_ms / 1000,
            mesh_max_uses=settings.mesh_max_uses,
            threads=settings.compute_threads,
        )
    )
    with ExitStack() as undo:
        undo.callback(engine.close)
        runtime = _around(engine, settings)
        undo.pop_all()
    logger.info("worker ready in %.1f s: %d instances", time.monotonic() - began, settings.mesh_pool_size)
    return runtime


def _around(engine: FaceRecognitionEngine, settings: Settings) -> Runtime:
    digests = {model.name: model.sha256 for model in MODELS}
    signer = Signer.load(settings.data_dir)
    executor = Executor(settings.compute_threads, settings.mesh_pool_size, settings.admission_timeout_ms / 1000)
    board = WorkerBoard(
        settings.run_dir,
        lambda: PoolLoad.of(engine.pool_status(), executor.statistics()),
        partial(work_state, executor.threads, settings.stuck_after_s),
    )
    executor.on_change = board.publish
    return Runtime(
        settings=settings,
        engine=engine,
        executor=executor,
        database=DatabaseThreads(),
        gallery=exact_gallery(digests["fr_feature"][:16]),
        signer=signer,
        model_digests=digests,
        board=board,
    )


@functools.cache
def _loaded() -> Runtime:
    return build(of_this_process(service_settings()))


def current() -> Runtime:
    """This worker's runtime, made by the first caller. Blocks while it is made."""
    with _lock:
        return _loaded()


def close() -> None:
    with _lock:
        if _loaded.cache_info().currsize:
            _loaded().close()
            _loaded.cache_clear()

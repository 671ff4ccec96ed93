"""Files in FACE_RUN_DIR by which jobs find the engines of this machine and share them.

    job-engine-N.used     held by the job that uses the N-th engine
    job-engine-N.running  held by the process that has it
    job-engine-N-XXXX     the socket of that process; XXXX: a digest of the settings it was started with

Locks end with their process, however that ends.
"""

from __future__ import annotations

import fcntl
import time
from hashlib import blake2b
from pathlib import Path
from typing import IO

from config.settings import Settings
from config.sizing.machine import this_machine
from config.sizing.workers import compute_threads

TRIED_EVERY_S = 0.1
_ENGINE = {
    "mesh_backend",
    "mesh_max_uses",
    "bystanders",
    "embedder",
    "former_embedder",
    "max_image_bytes",
    "max_image_pixels",
    "model_dir",
    "threads",
}


def for_jobs(settings: Settings) -> Settings:
    """The settings of an engine that may use every core, since live work goes before it.

    It has a thread more than cores: while one of them takes a picture or gives an answer, the others compute.
    """
    threads = settings.threads or compute_threads(this_machine().cores, 1, settings.mesh_pool_size) + 1
    return settings.model_copy(update={"threads": threads, "mesh_pool_size": threads})


def socket_of(settings: Settings, number: int) -> Path:
    digest = blake2b(settings.model_dump_json(include=_ENGINE).encode(), digest_size=4).hexdigest()
    return settings.run_dir / f"job-engine-{number}-{digest}"


def used_by(settings: Settings, number: int) -> Path:
    return settings.run_dir / f"job-engine-{number}.used"


def running(settings: Settings, number: int) -> Path:
    return settings.run_dir / f"job-engine-{number}.running"


def held(path: Path, wait_s: float = 0.0) -> IO[str] | None:
    """The open file that holds the lock; None when another process has it for so long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("a")
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                file.close()
                return None
            time.sleep(TRIED_EVERY_S)
        else:
            return file

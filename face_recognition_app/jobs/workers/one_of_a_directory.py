"""Only one embedded worker works in a data directory: two would be twice the processes for the same jobs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AlreadyRuns(Exception):
    """Another worker has the data directory."""


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the directory's lock during the block, or until the process ends. Raises AlreadyRuns."""
    with _lock_file(data_dir).open("a+") as file:
        if not _is_taken(file.fileno()):
            file.seek(0)
            raise AlreadyRuns(
                f"a job worker (process {file.read().strip() or 'unknown'}) runs for {data_dir}; of run_gunicorn.sh's, "
                "ENABLE_BACKGROUND_TASKS=false starts none"
            )
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
        file.truncate(0)


def is_free(data_dir: Path) -> bool:
    """Whether no worker holds the lock now."""
    with _lock_file(data_dir).open("a+") as file:
        return _is_taken(file.fileno())


def _is_taken(descriptor: int) -> bool:
    """Whether this process has taken the lock. Processes that it starts do not inherit it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_file(data_dir: Path) -> Path:
    path = data_dir / "job-worker.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path

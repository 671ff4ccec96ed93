"""Locks between processes."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Wait for a lock on `path`, a file made if missing, and hold it during the block, or until the process ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def job_worker_lock(data_dir: Path) -> Path:
    """The file that the job worker of a data directory locks, when it takes jobs without a broker."""
    return data_dir / "job-worker.lock"


class Taken(Exception):
    """Another process holds the lock. The message is what it has written into the file."""


@contextmanager
def alone(path: Path, note: str) -> Iterator[None]:
    """Hold a lock on `path` during the block, or until the process ends; `note` is for who comes meanwhile.

    Raises Taken. Processes that this one starts do not inherit the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        if not _take(file.fileno()):
            file.seek(0)
            raise Taken(file.read())
        file.truncate(0)
        file.write(note)
        file.flush()
        yield
        file.truncate(0)


def is_free(path: Path) -> bool:
    """Whether no process holds the lock on `path` now."""
    if not path.exists():
        return True
    with path.open() as file:
        return _take(file.fileno())


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

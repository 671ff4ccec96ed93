"""Every worker's pool, readable by every other worker: one small file each, right at any moment."""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.permits import WAIT_BOUNDS_MS
from core.pool import PoolStatistics

_LAYOUT = struct.Struct(f"<7q{len(WAIT_BOUNDS_MS)}q")


@dataclass(frozen=True, slots=True)
class WorkerPool:
    pid: int
    statistics: PoolStatistics


class WorkerBoard:
    """Publishes this process's pool for as long as it lives.

    The file is locked while the process lives, however it ends; so an unlocked board is a dead
    worker's, and nobody has to trust a process id.
    """

    def __init__(self, run_dir: Path, statistics: Callable[[], PoolStatistics]) -> None:
        self._statistics = statistics
        self._lock = threading.Lock()
        directory = _directory(run_dir)
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / f"{os.getpid()}"
        temporary = directory / f".{os.getpid()}"
        self._file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self.publish()
        temporary.replace(self._path)

    def publish(self) -> None:
        """Write the pool's statistics as they are now."""
        with self._lock:
            if self._file >= 0:
                os.pwrite(self._file, _pack(self._statistics()), 0)

    def close(self) -> None:
        with self._lock:
            if self._file >= 0:
                self._path.unlink(missing_ok=True)
                os.close(self._file)
                self._file = -1


def living_workers(run_dir: Path) -> list[WorkerPool]:
    """The pools of all workers that live, by process id; what dead ones left is removed."""
    return sorted(_read_boards(run_dir), key=lambda worker: worker.pid)


def _read_boards(run_dir: Path) -> Iterator[WorkerPool]:
    directory = _directory(run_dir)
    for path in directory.glob("[0-9]*") if directory.is_dir() else ():
        try:
            with path.open("rb") as file:
                if _is_abandoned(file.fileno()):
                    if os.fstat(file.fileno()).st_ino == path.stat().st_ino:  # Not yet a new worker's.
                        path.unlink(missing_ok=True)
                    continue
                yield WorkerPool(int(path.name), _unpack(file.read()))
        except FileNotFoundError:
            continue


def _is_abandoned(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _directory(run_dir: Path) -> Path:
    return run_dir / "workers"


def _pack(statistics: PoolStatistics) -> bytes:
    return _LAYOUT.pack(
        statistics.pool_size,
        statistics.max_size,
        statistics.in_use,
        statistics.waiting,
        statistics.exhausted_total,
        statistics.timeouts_total,
        statistics.recycled_total,
        *statistics.wait_counts,
    )


def _unpack(data: bytes) -> PoolStatistics:
    pool_size, max_size, in_use, waiting, exhausted, timeouts, recycled, *waits = _LAYOUT.unpack(data)
    return PoolStatistics(pool_size, max_size, in_use, waiting, exhausted, timeouts, recycled, tuple(waits))

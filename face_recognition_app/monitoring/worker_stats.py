"""Statistics of every worker, in one small file each, which every other worker can read."""

from __future__ import annotations

import fcntl
import logging
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from monitoring.pool_load import PoolLoad
from monitoring.watchdog import WorkState

logger = logging.getLogger(__name__)

_LAYOUT = struct.Struct(f"<{len(PoolLoad().numbers)}qqd")
_NO_WORK = -1.0
WRITE_RETRY_S = 1.0
"""Time after which a file that could not be written is tried again."""


@dataclass(frozen=True, slots=True)
class WorkerStats:
    pid: int
    load: PoolLoad
    work: WorkState


class WorkerStatsFile:
    """Publishes the statistics of this process in a file.

    The file is locked while the process lives, however it ends. So an unlocked one is a dead worker's, and no process
    id has to be trusted. A worker for whose file the disk has no room is missing from the status, and serves on.
    """

    def __init__(self, run_dir: Path, load: Callable[[], PoolLoad], work: Callable[[], WorkState]) -> None:
        self._load = load
        self._work = work
        self._lock = threading.Lock()
        self._directory = _directory(run_dir)
        self._path = self._directory / f"{os.getpid()}"
        self._temporary = self._directory / f".{os.getpid()}"
        self._file = -1
        self._is_closed = False
        self._failed_at: float | None = None
        self.publish()

    def publish(self) -> None:
        """Write the present statistics; make the file if there is none yet."""
        with self._lock:
            if self._is_closed or self._failed_recently():
                return
            data = _pack(self._load(), self._work())
            try:
                if self._file < 0:
                    self._create(data)
                else:
                    os.pwrite(self._file, data, 0)
            except OSError as error:
                self._give_up(error)

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            self._remove_file()

    def _create(self, data: bytes) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.pwrite(self._file, data, 0)
        self._temporary.replace(self._path)
        if self._failed_at is not None:
            self._failed_at = None
            logger.warning("this worker is in the pool status again")

    def _give_up(self, error: OSError) -> None:
        if self._failed_at is None:
            logger.error("this worker is missing from the pool status until its statistics can be written: %s", error)
        self._failed_at = time.monotonic()
        self._remove_file()

    def _failed_recently(self) -> bool:
        return self._failed_at is not None and time.monotonic() - self._failed_at < WRITE_RETRY_S

    def _remove_file(self) -> None:
        if self._file < 0:
            return
        for path in (self._temporary, self._path):
            _remove(path)
        os.close(self._file)
        self._file = -1


def read_live_workers(run_dir: Path) -> list[WorkerStats]:
    """Statistics of all live workers, by process id. Removes the files of dead ones."""
    return sorted(_read_files(run_dir), key=lambda worker: worker.pid)


def _read_files(run_dir: Path) -> Iterator[WorkerStats]:
    directory = _directory(run_dir)
    for path in directory.glob("[0-9]*") if directory.is_dir() else ():
        try:
            with path.open("rb") as file:
                if _is_abandoned(file.fileno()):
                    if os.fstat(file.fileno()).st_ino == path.stat().st_ino:  # Else it is a new worker's already.
                        _remove(path)
                    continue
                data = file.read()
        except FileNotFoundError:
            continue
        if len(data) == _LAYOUT.size:  # Skips the file of another version, whose worker ends while this one starts.
            yield _unpack(int(path.name), data)


def _is_abandoned(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(path: Path) -> None:
    with suppress(OSError):  # Removed by another worker, or a read-only disk: an unlocked file counts for nothing.
        path.unlink()


def _directory(run_dir: Path) -> Path:
    return run_dir / "workers"


def _pack(load: PoolLoad, work: WorkState) -> bytes:
    began = _NO_WORK if work.oldest_began is None else work.oldest_began
    return _LAYOUT.pack(*load.numbers, work.stuck, began)


def _unpack(pid: int, data: bytes) -> WorkerStats:
    *numbers, stuck, began = _LAYOUT.unpack(data)
    return WorkerStats(pid, PoolLoad.from_numbers(numbers), WorkState(stuck, None if began == _NO_WORK else began))

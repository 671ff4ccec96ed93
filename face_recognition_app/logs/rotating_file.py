"""A log file that many processes write, and that is followed by a new one when it is full."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from contextlib import suppress
from pathlib import Path

NO_FILE = -1


class SharedRotatingFile(logging.Handler):
    """Appends whole lines to `path`. Full files become `path.1` (the latest) to `path.{backups}`.

    Each line is written, and the file exchanged, under a lock on `path.lock`. It is a lock of the process (lockf), so
    processes that were forked with the handler exclude each other as well as those that were started apart. A file
    that somebody else has moved away is made anew.

    A disk that takes no more costs lines and nothing else: what was written of one is taken back, and the first failure
    in a row is told on standard error.
    """

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        super().__init__()
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._file = NO_FILE
        self._lock_file = NO_FILE
        self._has_failed = False
        path.parent.mkdir(parents=True, exist_ok=True)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = f"{self.format(record)}\n".encode(errors="backslashreplace")
            self._append(line)
        except OSError:
            if not self._has_failed:
                self.handleError(record)
            self._has_failed = True
        except Exception:
            self.handleError(record)
        else:
            self._has_failed = False

    def close(self) -> None:
        with _all_threads:
            for descriptor in (self._file, self._lock_file):
                if descriptor != NO_FILE:
                    os.close(descriptor)
            self._file = self._lock_file = NO_FILE
        super().close()

    def _append(self, line: bytes) -> None:
        with _all_threads:
            if self._lock_file == NO_FILE:
                self._lock_file = opened(self._path.with_name(f"{self._path.name}.lock"))
            fcntl.lockf(self._lock_file, fcntl.LOCK_EX)
            try:
                size = self._size_of_current()
                if size and size + len(line) > self._max_bytes:
                    self._rotate()
                    size = self._size_of_current()
                self._write(line, size)
            finally:
                fcntl.lockf(self._lock_file, fcntl.LOCK_UN)

    def _size_of_current(self) -> int:
        """Bytes in the file at `path`, which is opened if it is not the one that is open."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            found = None
        if self._file != NO_FILE:
            mine = os.fstat(self._file)
            if found is not None and (mine.st_dev, mine.st_ino) == (found.st_dev, found.st_ino):
                return found.st_size
            os.close(self._file)
            self._file = NO_FILE
        self._file = opened(self._path)
        return os.fstat(self._file).st_size

    def _rotate(self) -> None:
        for number in range(self._backups - 1, 0, -1):
            with suppress(FileNotFoundError):
                self._backup(number).replace(self._backup(number + 1))
        self._path.replace(self._backup(1))

    def _backup(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _write(self, line: bytes, size: int) -> None:
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            os.ftruncate(self._file, size)
            raise


_all_threads = threading.Lock()
"""A process's locks on a file go when any of its descriptors of that file is closed, so that the handlers of one file
in a process take turns here."""
os.register_at_fork(
    before=_all_threads.acquire, after_in_parent=_all_threads.release, after_in_child=_all_threads.release
)


def opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)

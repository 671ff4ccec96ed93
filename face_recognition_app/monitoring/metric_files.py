"""The files in which prometheus_client shares a worker's metrics, made so that a full disk costs metrics and no worker.

The library maps sparse files: a store into a page for which the disk has no room ends the process with SIGBUS. Here
the blocks of a file are allocated before it is mapped. Without room for them the values stay in memory, unseen by the
other workers, and move into the file once there is room.
"""

from __future__ import annotations

import logging
import mmap
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

logger = logging.getLogger(__name__)

FIRST_BYTES = 1 << 16
WRITE_RETRY_S = 5.0
"""Time after which values in memory are moved into a file again."""
_LARGEST_PADDING = 8
_HEADER_BYTES = 8
_VALUE_OVERHEAD_BYTES = 4 + _LARGEST_PADDING + 16
"""Bytes of a value besides its key: the key's length, the padding, the value and its time."""


class AllocatedDict(MmapedDict):
    """The values of one worker's metrics of one type. Used under the library's lock."""

    _f: Any
    """The open file; None while the values are in memory."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        self._tried_at: float | None = None
        try:
            _allocate(filename, FIRST_BYTES)
            super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]
        except OSError as error:
            self._keep_in_memory(filename, error)

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        if self._tried_at is not None and time.monotonic() - self._tried_at > WRITE_RETRY_S:
            self._move_into_file()
        super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]

    def _init_value(self, key: str) -> None:
        while self._used + len(key.encode()) + _VALUE_OVERHEAD_BYTES > self._capacity:
            self._capacity *= 2
            self._move_into_file()
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _keep_in_memory(self, filename: str, error: OSError) -> None:
        self._f = None
        self._fname = filename
        self._capacity = FIRST_BYTES
        self._m = mmap.mmap(-1, self._capacity)
        self._positions: dict[str, int] = {}
        self._used = _HEADER_BYTES
        self._m[:4] = self._used.to_bytes(4, sys.byteorder)
        self._log_failure(error)

    def _move_into_file(self) -> None:
        """Move the values into a file of `_capacity` bytes, or, without room for one, into as much memory."""
        held = self._m[: self._used]
        try:
            _allocate(self._fname, self._capacity)
            file = Path(self._fname).open("r+b")  # noqa: SIM115 - open as long as the values are
            mapped = mmap.mmap(file.fileno(), self._capacity)
        except OSError as error:
            self._log_failure(error)
            file, mapped = None, mmap.mmap(-1, self._capacity)
        else:
            self._log_recovery()
        mapped[: self._used] = held
        if self._f is not None:
            self._f.close()
        self._m, self._f = mapped, file

    def _log_failure(self, error: OSError) -> None:
        if self._tried_at is None:
            logger.error(
                "other workers do not show all metrics of this one until %s can be written: %s", self._fname, error
            )
        self._tried_at = time.monotonic()

    def _log_recovery(self) -> None:
        if self._tried_at is not None:
            self._tried_at = None
            logger.warning("all workers see the metrics of this worker again: %s", self._fname)


def _allocate(filename: str, size: int) -> None:
    """Allocate `size` bytes of disk to the file. A new file appears complete, so no reader sees a part of it."""
    path = Path(filename)
    if path.exists():
        _fill(path, size)
        return
    new = path.with_suffix(".new")
    try:
        _fill(new, size)
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


def _fill(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size)
    finally:
        os.close(descriptor)


def install() -> None:
    """Replace the library's class. Call this before the first metric is made."""
    values.MmapedDict = AllocatedDict  # type: ignore[attr-defined]

"""Resource usage of a process and its descendants."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

MIB = 2**20
_FIELD = re.compile(r"^(Rss|Pss):\s+(\d+) kB", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums over a process tree; shared pages count once in `pss_bytes`, and once per process in `rss_bytes`."""

    at_s: float
    """Seconds of the monotonic clock."""
    cpu_s: float
    """CPU seconds since each process began."""
    rss_bytes: int
    pss_bytes: int
    threads: int
    processes: int


def usage(pid: int) -> Usage:
    """Usage of `pid` and all its descendants. Raises psutil.NoSuchProcess when `pid` is gone."""
    root = psutil.Process(pid)
    cpu_s, rss, pss, threads, processes = 0.0, 0, 0, 0, 0
    for process in [root, *root.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):  # It ended meanwhile.
            memory = _memory_bytes(process.pid)
            times = process.cpu_times()
            threads += process.num_threads()
            cpu_s += times.user + times.system
            rss += memory["Rss"]
            pss += memory["Pss"]
            processes += 1
    return Usage(time.monotonic(), cpu_s, rss, pss, threads, processes)


def cores_between(before: Usage, after: Usage) -> float:
    """Mean number of busy cores; meaningless when a process of the tree ended in between."""
    return (after.cpu_s - before.cpu_s) / (after.at_s - before.at_s)


def _memory_bytes(pid: int) -> dict[str, int]:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {name: int(kib) * 1024 for name, kib in _FIELD.findall(text)}

"""Threads of processes."""

from __future__ import annotations

from pathlib import Path


def thread_count(pid: int) -> int:
    """Number of a process's threads, as `ps -o nlwp` has it; 0 if there is no such process."""
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    except FileNotFoundError:
        return 0

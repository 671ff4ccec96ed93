"""Memory of processes."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path


def memory_bytes(pid: int) -> int:
    """Resident memory of a process, shared pages included; 0 if there is no such process."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except FileNotFoundError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def private_bytes(pid: int) -> int:
    """Resident memory that a process does not share with others; 0 if there is no such process.

    Pages of mapped files are not in it, whether or not another process has mapped the same file at this moment: a
    mapped gallery is shared, and the system takes its pages back when it needs them.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:"))


def proportional_bytes(pid: int) -> int:
    """Resident memory, each shared page divided by the number of its users. Raises OSError."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def give_freed_memory_back() -> None:
    """Give the system back what this process has freed, which the C library otherwise keeps for later.

    Does nothing where the C library is not glibc.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

"""What processes take besides memory, from /proc. Each function raises OSError for one that has ended."""

from __future__ import annotations

import os
from pathlib import Path


def threads(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Threads:"))


def open_files(pid: int) -> int:
    with os.scandir(f"/proc/{pid}/fd") as entries:
        return sum(1 for _ in entries)


def cpu_seconds(pid: int) -> float:
    """User and system time of all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

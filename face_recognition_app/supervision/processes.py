"""Processes as /proc shows them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_STATE, _PARENT, _SESSION, _USER_TICKS, _SYSTEM_TICKS, _THREADS, _STARTED_TICKS = 2, 3, 5, 13, 14, 19, 21
"""Fields of /proc/PID/stat, from 0."""
_DEAD = ("Z", "X")


class Gone(Exception):
    """The process has ended, or cannot be seen."""


@dataclass(frozen=True, slots=True)
class Measured:
    """`age_s`: since it started. `pss_bytes`: of pages that it shares, its part. `command`: with its arguments."""

    pid: int
    cpu_s: float
    age_s: float
    threads: int
    rss_bytes: int
    pss_bytes: int
    command: tuple[str, ...]


def measure(pid: int) -> Measured:
    """Raises Gone."""
    fields = _fields(pid)
    memory = dict(line.split(":", 1) for line in _read(pid, "smaps_rollup").splitlines()[1:])
    if fields[_STATE] in _DEAD or not memory:
        raise Gone(f"process {pid} has ended")
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    return Measured(
        pid=pid,
        cpu_s=(int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])) / _TICKS,
        age_s=uptime_s - int(fields[_STARTED_TICKS]) / _TICKS,
        threads=int(fields[_THREADS]),
        rss_bytes=int(memory["Rss"].split()[0]) * 1024,
        pss_bytes=int(memory["Pss"].split()[0]) * 1024,
        command=command_of(pid),
    )


def command_of(pid: int) -> tuple[str, ...]:
    """Raises Gone."""
    return tuple(_read(pid, "cmdline").split("\0")[:-1])


def environment_of(pid: int) -> dict[str, str]:
    """The variables that a process was started with. Raises Gone."""
    pairs = (pair.partition("=") for pair in _read(pid, "environ").split("\0") if pair)
    return {name: value for name, _, value in pairs}


def session(leader: int) -> list[int]:
    """Living processes of the session that `leader` has begun, itself among them, whoever their parents are."""
    return sorted(pid for pid, fields in _living().items() if fields[_SESSION] == str(leader))


def family(root: int) -> list[int]:
    """A living process and all that descend from it, in the order of their ids."""
    parents = {pid: int(fields[_PARENT]) for pid, fields in _living().items()}
    found = {root} & parents.keys()
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)


def is_alive(pid: int) -> bool:
    try:
        return _fields(pid)[_STATE] not in _DEAD
    except Gone:
        return False


def _living() -> dict[int, list[str]]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(Gone):
                found[int(entry.name)] = _fields(int(entry.name))
    return {pid: fields for pid, fields in found.items() if fields[_STATE] not in _DEAD}


def _fields(pid: int) -> list[str]:
    """The name, which may have spaces and brackets, is left empty."""
    text = _read(pid, "stat")
    return [str(pid), "", *text[text.rindex(")") + 2 :].split()]


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError) as error:
        raise Gone(f"process {pid}: {error.strerror}") from error

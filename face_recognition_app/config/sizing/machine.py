"""The cores and the memory that this process may use: the machine's, or what its cgroup allows of them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20
KIB = 2**10


@dataclass(frozen=True, slots=True)
class Machine:
    """Resources of this process. `affinity`: cores; `quota`: cores by the cgroup's CPU quota, None without one."""

    affinity: int
    quota: float | None
    memory_bytes: int
    """Available memory, or the cgroup's limit if that is less."""
    memory_is_limited: bool
    """Whether the cgroup's limit is less."""
    installed_bytes: int
    """All memory, or the cgroup's limit if that is less: the same whatever runs now, as at each reload."""

    @property
    def cores(self) -> float:
        return min(float(self.affinity), self.quota or math.inf)


def this_machine(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> Machine:
    limits = cgroup_limits((proc / "self" / "cgroup").read_text(), cgroups)
    meminfo = (proc / "meminfo").read_text()
    available, installed = memory_of(meminfo, "MemAvailable"), memory_of(meminfo, "MemTotal")
    return Machine(
        affinity=len(os.sched_getaffinity(0)),
        quota=limits.cores,
        memory_bytes=min(available, limits.memory_bytes or available),
        memory_is_limited=limits.memory_bytes is not None and limits.memory_bytes < available,
        installed_bytes=min(installed, limits.memory_bytes or installed),
    )


def memory_of(meminfo: str, wanted: str) -> int:
    """Bytes of one line in the text of /proc/meminfo. Raises ValueError."""
    for line in meminfo.splitlines():
        name, _, rest = line.partition(":")
        if name == wanted:
            return int(rest.split()[0]) * KIB
    raise ValueError(f"/proc/meminfo has no {wanted}")


@dataclass(frozen=True, slots=True)
class Limits:
    """Lowest limits of a cgroup and those above it; None without one."""

    cores: float | None
    memory_bytes: int | None


def cgroup_limits(membership: str, root: Path) -> Limits:
    """Limits of the groups in `membership`, a /proc/PID/cgroup of version 1, 2 or both, with files below `root`."""
    cores: list[float] = []
    memory: list[int] = []
    for directory in _directories(membership, root):
        cores += filter(None, [_quota_of_version_2(directory), _quota_of_version_1(directory)])
        memory += filter(None, [_number(directory / name) for name in ("memory.max", "memory.limit_in_bytes")])
    return Limits(min(cores, default=None), min(memory, default=None))


def _directories(membership: str, root: Path) -> Iterator[Path]:
    """Directories of the groups and those above. Some may be missing: a container can see its own group as the root."""
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        mounts = {root / name for name in (controllers, *controllers.split(","))}
        for mount in mounts if controllers else (root, root / "unified"):
            group = mount / path.lstrip("/")
            yield from (place for place in (group, *group.parents) if place.is_relative_to(mount))


def _quota_of_version_2(directory: Path) -> float | None:
    """Cores by cpu.max, which has microseconds in each period, or `max`."""
    words = _words(directory / "cpu.max")
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0] != "max" else None


def _quota_of_version_1(directory: Path) -> float | None:
    """Cores by two files with microseconds; a quota of -1 is none."""
    quota, period = _number(directory / "cpu.cfs_quota_us"), _number(directory / "cpu.cfs_period_us")
    return quota / period if quota is not None and period and quota > 0 else None


def _number(path: Path) -> int | None:
    words = _words(path)
    return int(words[0]) if words and words[0] != "max" else None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []

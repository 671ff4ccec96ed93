"""Sizing: how many workers and instances suit a machine, and how many live sessions it will serve.

The shares are those of a session with passive liveness; the factors beside them are estimates on the safe side, to be
read against what bench.capacity finds on the machine itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20
KIB = 2**10

SPOOF_SHARE = 0.25
"""Share of a session's frames that get the anti-spoof network and the search for a display's grid."""
SAMPLES_SHARE = 0.7
"""Share of frames whose samples and appearance are computed."""
EMBED_SHARE = 0.25
"""Share of which an embedding is computed."""
REST = 1.25
"""A frame's time in the service over that in the engine: the detector now and then, weighing, sockets, database."""
USABLE = 0.7
"""Part of the cores that can be busy while 95 of 100 frames are still answered within 200 ms."""
CORES_PER_WORKER = 1.5
"""Cores that one worker can use: its networks run in parallel, its Python does not."""

MAX_COMPUTE_THREADS = 8
"""Limit of a worker: a quarter of a frame's time is under the interpreter's lock, and each thread has its graphs."""
THREAD_BYTES = 57 * MIB
"""Memory that each compute thread but the first adds with the openvino mesh; less with mediapipe."""

MIN_POOL, MAX_POOL = 4, 128
INSTANCES_PER_CORE = 2
"""Twice the compute threads: room for a larger FACE_COMPUTE_THREADS, and for instances being replaced."""
MAX_WORKERS = 256
MEMORY_SHARE = 0.8
"""Share of the available memory for workers; the rest is for galleries, pictures in work and the system."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Resources of this process. `affinity`: cores; `quota`: cores by the cgroup's CPU quota, None without one."""

    affinity: int
    quota: float | None
    memory_bytes: int
    """Available memory, or the cgroup's limit if that is less."""
    memory_is_limited: bool
    """Whether the cgroup's limit is less."""

    @property
    def cores(self) -> float:
        return min(float(self.affinity), self.quota or math.inf)


@dataclass(frozen=True, slots=True)
class FrameCosts:
    """CPU times in ms. `analysis`: decode, tracked mesh and quality; `spoof`: anti-spoof and moire; `samples`:
    samples and appearance; `embed`: an embedding."""

    analysis: float
    spoof: float
    samples: float
    embed: float

    @property
    def frame_ms(self) -> float:
        """CPU time of the mean frame of a session with liveness, in the service."""
        engine = self.analysis + SPOOF_SHARE * self.spoof + SAMPLES_SHARE * self.samples + EMBED_SHARE * self.embed
        return REST * engine


@dataclass(frozen=True, slots=True)
class Recommendation:
    machine: Machine
    frame_ms: float
    worker_bytes: int
    fps: float
    workers: int
    pool_size: int
    sessions: int
    """Live sessions at `fps` frames a second each."""

    @property
    def wanted_workers(self) -> int:
        """Workers that the cores suffice for, whatever the memory."""
        return workers_for(self.machine.cores)

    @property
    def line(self) -> str:
        """The command line to start the service, and in short what it gives."""
        sessions = f"about {self.sessions}" if self.sessions else "less than one"
        return (
            f"./run_gunicorn.sh --workers {self.workers} --pool-size {self.pool_size}   "
            f"# {_cores(self.machine.cores)}, {self.worker_bytes / MIB:.0f} MiB per worker, "
            f"{sessions} live {'session' if self.sessions < 2 else 'sessions'} at {self.fps:g} frames/s"
        )

    @property
    def reasons(self) -> list[str]:
        return [_about_workers(self), _about_memory(self), _about_sessions(self)]


def recommend(machine: Machine, frame_ms: float, worker_bytes: int, fps: float) -> Recommendation:
    """One worker for each whole core as far as memory allows, at least one. `worker_bytes`: of one with one thread."""
    workers = workers_for(machine.cores)
    while workers > 1 and workers * _bytes_of_one(machine, workers, worker_bytes) > MEMORY_SHARE * machine.memory_bytes:
        workers -= 1
    return Recommendation(
        machine=machine,
        frame_ms=frame_ms,
        worker_bytes=_bytes_of_one(machine, workers, worker_bytes),
        fps=fps,
        workers=workers,
        pool_size=pool_size_for(machine.cores, workers),
        sessions=sessions_for(machine.cores, workers, frame_ms, fps),
    )


def _bytes_of_one(machine: Machine, workers: int, worker_bytes: int) -> int:
    pool_size = pool_size_for(machine.cores, workers)
    return worker_bytes + THREAD_BYTES * (compute_threads(machine.cores, workers, pool_size) - 1)


def compute_threads(cores: float, workers: int, pool_size: int) -> int:
    """Number of compute threads of a worker: its share of the cores."""
    return min(pool_size, MAX_COMPUTE_THREADS, math.ceil(cores / workers))


def workers_for(cores: float) -> int:
    return min(MAX_WORKERS, max(1, int(cores)))


def pool_size_for(cores: float, workers: int) -> int:
    """Number of FaceMesh instances of each worker."""
    return min(MAX_POOL, max(MIN_POOL, math.ceil(INSTANCES_PER_CORE * cores / workers)))


def sessions_for(cores: float, workers: int, frame_ms: float, fps: float) -> int:
    busy = USABLE * min(cores, CORES_PER_WORKER * workers)
    return int(1000 * busy / (frame_ms * fps))


def this_machine(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> Machine:
    limits = cgroup_limits((proc / "self" / "cgroup").read_text(), cgroups)
    available = available_memory((proc / "meminfo").read_text())
    return Machine(
        affinity=len(os.sched_getaffinity(0)),
        quota=limits.cores,
        memory_bytes=min(available, limits.memory_bytes or available),
        memory_is_limited=limits.memory_bytes is not None and limits.memory_bytes < available,
    )


def available_memory(meminfo: str) -> int:
    """Bytes available without swapping, from the text of /proc/meminfo. Raises ValueError."""
    return _memory("MemAvailable", meminfo)


def memory_of_machine(meminfo: str, proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that the machine has, or the cgroup's limit if that is less. Raises ValueError."""
    total = _memory("MemTotal", meminfo)
    return min(total, cgroup_limits((proc / "self" / "cgroup").read_text(), cgroups).memory_bytes or total)


def _memory(wanted: str, meminfo: str) -> int:
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


def _about_workers(advice: Recommendation) -> str:
    machine = advice.machine
    by = "" if machine.quota is None or machine.quota >= machine.affinity else ", by the cgroup's CPU quota"
    usable = f"This process may use {_cores(machine.cores)}{by}"
    if advice.workers < advice.wanted_workers:
        return f"{usable}, and {_workers(advice.workers)} because memory has no room for more."
    return f"{usable}: {_workers(advice.workers)}, and at least {MIN_POOL} instances in each."


def _about_memory(advice: Recommendation) -> str:
    machine, needed = advice.machine, advice.workers * advice.worker_bytes
    source = "that the cgroup allows" if machine.memory_is_limited else "that are available"
    take = "takes" if advice.workers == 1 else "take"
    line = f"{_workers(advice.workers)} {take} {needed / MIB:.0f} MiB of {machine.memory_bytes / MIB:.0f} MiB {source}"
    return f"{line}: too little." if needed > MEMORY_SHARE * machine.memory_bytes else f"{line}."


def _about_sessions(advice: Recommendation) -> str:
    return (
        f"A frame with liveness takes {advice.frame_ms:.1f} ms of a core; with {USABLE:.0%} of the time of "
        f"{_cores(min(advice.machine.cores, CORES_PER_WORKER * advice.workers))} in use, answers still come in time."
    )


def _cores(count: float) -> str:
    return "1 core" if count == 1 else f"{count:g} cores"


def _workers(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"

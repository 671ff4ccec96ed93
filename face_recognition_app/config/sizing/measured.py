"""How many live sessions a machine will serve, by what a frame costs on it.

The shares are those of a session with passive liveness; the factors beside them are estimates on the safe side, to be
read against what bench.capacity finds on the machine itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from config.sizing.machine import MIB, Machine
from config.sizing.workers import (
    MEMORY_SHARE,
    MIN_POOL,
    WorkerProfile,
    bytes_of_one,
    fitting_workers,
    pool_size_for,
    workers_for,
    workers_of,
)

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
    profile: WorkerProfile
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


def recommend(
    machine: Machine, frame_ms: float, worker_bytes: int, fps: float, profile: WorkerProfile = "measured"
) -> Recommendation:
    """Workers by the profile. `worker_bytes`: of one with one compute thread, as measured."""
    if profile == "measured":
        workers = fitting_workers(machine.cores, machine.memory_bytes, worker_bytes)
    else:
        workers = workers_of(profile, "production", machine)
    return Recommendation(
        machine=machine,
        frame_ms=frame_ms,
        worker_bytes=bytes_of_one(machine.cores, workers, worker_bytes),
        fps=fps,
        profile=profile,
        workers=workers,
        pool_size=pool_size_for(machine.cores, workers),
        sessions=sessions_for(machine.cores, workers, frame_ms, fps),
    )


def sessions_for(cores: float, workers: int, frame_ms: float, fps: float) -> int:
    busy = USABLE * min(cores, CORES_PER_WORKER * workers)
    return int(1000 * busy / (frame_ms * fps))


def _about_workers(advice: Recommendation) -> str:
    machine = advice.machine
    by = "" if machine.quota is None or machine.quota >= machine.affinity else ", by the cgroup's CPU quota"
    usable = f"This process may use {_cores(machine.cores)}{by}"
    if advice.profile != "measured":
        return f"{usable}: {_workers(advice.workers)} by WORKER_PROFILE={advice.profile} in production."
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

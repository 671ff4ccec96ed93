"""A machine's plan: what every profile comes to on it, measured here and by the original guides."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from config.sizing import guides
from config.sizing.connections import (
    Connections,
    database_connections,
    max_connections,
    redis_connections,
)
from config.sizing.machine import MIB
from config.sizing.measured import FrameCosts, Recommendation, recommend
from config.sizing.workers import FORMER_EMBEDDER_BYTES, WORKER_BYTES, WorkerProfile, compute_threads, whole_cores

JOB_MASTER_BYTES, JOB_SLOT_BYTES = 60 * MIB, 45 * MIB
"""Of a job worker and of each process in which it runs jobs. Their engine is as large as a web worker."""


@dataclass(frozen=True, slots=True)
class ProfilePlan:
    """One profile. `guide_gb`: the guide's budget for its workers, with PostgreSQL, Redis and the system beside."""

    advice: Recommendation
    guide_workers: tuple[int, int]
    guide_gb: float
    guide_pools: guides.Pools
    claim: guides.ProfileClaim | None
    database: Connections
    redis: Connections

    @property
    def max_connections(self) -> int:
        return max_connections(self.database.during_reload)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of all processes: as they serve, while a reload has both generations, and while galleries move from one
    embedder to another."""

    serving: int
    reloading: int
    moving: int


@dataclass(frozen=True, slots=True)
class Plan:
    advice: Recommendation
    costs: FrameCosts
    profiles: tuple[ProfilePlan, ...]
    tier: guides.PoolTier
    range: guides.WorkerRange
    memory: Memory
    job_slots: int

    @property
    def chosen(self) -> ProfilePlan:
        return next(one for one in self.profiles if one.advice.profile == self.advice.profile)


def plan(advice: Recommendation, costs: FrameCosts, worker_bytes: int, job_slots: int) -> Plan:
    """`worker_bytes`: of a worker with one compute thread. `job_slots`: of the job worker, wherever it is started."""
    cores = whole_cores(advice.machine.cores)
    return Plan(
        advice=advice,
        costs=costs,
        profiles=tuple(_profiles(advice, worker_bytes, job_slots)),
        tier=guides.pool_tier(cores),
        range=guides.worker_range(cores),
        memory=memory_of(advice, job_slots),
        job_slots=job_slots,
    )


def _profiles(advice: Recommendation, worker_bytes: int, job_slots: int) -> Iterator[ProfilePlan]:
    machine = advice.machine
    for profile in get_args(WorkerProfile):
        one = recommend(machine, advice.frame_ms, worker_bytes, advice.fps, profile)
        follows_formula = profile not in ("measured", "environment")
        yield ProfilePlan(
            advice=one,
            guide_workers=guides.profile_workers(profile, whole_cores(machine.cores))
            if follows_formula
            else (one.workers, one.workers),
            guide_gb=guides.memory_gb(one.workers),
            guide_pools=guides.pools(one.workers),
            claim=guides.PROFILE_CLAIMS.get(profile),
            database=database_connections(one.workers, job_slots),
            redis=redis_connections(one.workers, job_slots),
        )


def memory_of(advice: Recommendation, job_slots: int) -> Memory:
    jobs = JOB_MASTER_BYTES + job_slots * JOB_SLOT_BYTES + WORKER_BYTES if job_slots else 0
    web = advice.workers * advice.worker_bytes
    threads = advice.workers * compute_threads(advice.machine.cores, advice.workers, advice.pool_size)
    engines = threads + bool(job_slots)
    return Memory(web + jobs, 2 * web + jobs, web + jobs + engines * FORMER_EMBEDDER_BYTES)


def machines_for(people: int, sessions: int) -> int | None:
    """Machines like this for so many people before a camera at once; None if it cannot serve one."""
    return math.ceil(people / sessions) if sessions else None

"""Numbers of workers, of their compute threads and of their instances, for a machine."""

from __future__ import annotations

import math
from typing import Literal

from config.sizing.machine import MIB, Machine

WorkerProfile = Literal["measured", "environment", "conservative", "moderate", "aggressive", "maximum"]
Environment = Literal["development", "staging", "production"]

MAX_WORKERS = 256
DEVELOPMENT_WORKERS = 2
PRODUCTION_WORKERS = 16
"""Limit of the profile `environment` in production."""

WORKER_BYTES = 300 * MIB
"""Memory of a worker with one compute thread: 230 to 250 MiB of its own and its part of what is shared."""
THREAD_BYTES = 57 * MIB
"""Memory that each compute thread but the first adds with the openvino mesh; less with mediapipe."""
FORMER_EMBEDDER_BYTES = 15 * MIB
"""Memory that the shipped network as a second embedder adds to each compute thread: three times its file's size."""
MEMORY_SHARE = 0.8
"""Share of the memory for workers; the rest is for galleries, pictures in work and the system."""

MAX_COMPUTE_THREADS = 8
"""Limit of a worker: a quarter of a frame's time is under the interpreter's lock, and each thread has its graphs."""
MIN_POOL, MAX_POOL = 4, 128
INSTANCES_PER_CORE = 2
"""Twice the compute threads: room for a larger FACE_COMPUTE_THREADS, and for instances being replaced."""


def workers_of(profile: WorkerProfile, environment: Environment, machine: Machine) -> int:
    """Number of workers by the profile. Only `measured` looks at the memory, the others are formulas over cores."""
    if profile == "measured":
        fitting = fitting_workers(machine.cores, machine.installed_bytes)
        return min(fitting, DEVELOPMENT_WORKERS) if environment == "development" else fitting
    return min(MAX_WORKERS, by_formula(profile, environment, whole_cores(machine.cores)))


def by_formula(profile: WorkerProfile, environment: Environment, cores: int) -> int:
    match profile:
        case "environment":
            return by_environment(environment, cores)
        case "conservative":
            return max(1, round(2 * cores / 3))
        case "aggressive":
            return math.ceil(4 * cores / 3)
        case "maximum":
            return 2 * cores + 1
        case _:
            return cores


def by_environment(environment: Environment, cores: int) -> int:
    match environment:
        case "development":
            return DEVELOPMENT_WORKERS
        case "staging":
            return cores + 1
        case "production":
            return min(2 * cores + 1, PRODUCTION_WORKERS)


def fitting_workers(cores: float, memory_bytes: int, worker_bytes: int = WORKER_BYTES) -> int:
    """One worker for each whole core as far as memory allows, at least one. `worker_bytes`: of one with one thread."""
    workers = workers_for(cores)
    while workers > 1 and workers * bytes_of_one(cores, workers, worker_bytes) > MEMORY_SHARE * memory_bytes:
        workers -= 1
    return workers


def bytes_of_one(cores: float, workers: int, worker_bytes: int = WORKER_BYTES) -> int:
    """Memory of each of `workers`, with the compute threads that its share of the cores gives it."""
    threads = compute_threads(cores, workers, pool_size_for(cores, workers))
    return worker_bytes + THREAD_BYTES * (threads - 1)


def whole_cores(cores: float) -> int:
    return max(1, int(cores))


def workers_for(cores: float) -> int:
    return min(MAX_WORKERS, whole_cores(cores))


def compute_threads(cores: float, workers: int, pool_size: int) -> int:
    """Number of compute threads of a worker: its share of the cores."""
    return min(pool_size, MAX_COMPUTE_THREADS, math.ceil(cores / workers))


def pool_size_for(cores: float, workers: int) -> int:
    """Number of FaceMesh instances of each worker."""
    return min(MAX_POOL, max(MIN_POOL, math.ceil(INSTANCES_PER_CORE * cores / workers)))

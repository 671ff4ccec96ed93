"""The tables and formulas of the original guides, as they stand there, for machines, workers and users.

They are about services whose requests wait for a database most of the time, and their numbers of users are claims. What
was measured here stands beside them in `manage.py recommend_workers`.
"""

from __future__ import annotations

from dataclasses import dataclass

from config.sizing.connections import max_connections
from config.sizing.workers import MAX_WORKERS, WorkerProfile, by_formula

OVERFLOWING_POOL = 20
"""Connections of a worker in the guide that counts 12 x 20 + 20 = 260."""
SHARED_BUFFERS = "256MB"
MIN_POOL, MAX_POOL = 2, 10
"""PostgreSQL connections of a worker in the newer guide, and Redis connections at most."""
REDIS_PER_WORKER = 10
SERVERS_MAX_CONNECTIONS = 200
"""What the newer guide sets in PostgreSQL."""
LEAST_WORKER_GB, WORKER_GB = 0.2, 0.3
OTHERS_GB = 1.0 + 0.5 + 1.0
"""PostgreSQL, Redis and the system."""


@dataclass(frozen=True, slots=True)
class PoolTier:
    """`cores` at least; `sessions`: least and most."""

    cores: int
    workers: int
    pool_size: int
    sessions: tuple[int, int]


POOL_TIERS = (
    PoolTier(1, 1, 4, (4, 8)),
    PoolTier(4, 2, 4, (8, 16)),
    PoolTier(8, 4, 8, (32, 64)),
    PoolTier(16, 8, 8, (64, 128)),
    PoolTier(32, 12, 8, (100, 200)),
)
"""The first is ours: the guide begins with 4 cores."""


def pool_tier(cores: int) -> PoolTier:
    return [tier for tier in POOL_TIERS if tier.cores <= max(1, cores)][-1]


@dataclass(frozen=True, slots=True)
class WorkerRange:
    """40, 60 and 80 % of the cores, and the common formula, which the guide names and does not follow."""

    least: int
    recommended: int
    most: int
    formula: int


def worker_range(cores: int) -> WorkerRange:
    least, recommended, most = (max(1, round(share * cores)) for share in (0.4, 0.6, 0.8))
    return WorkerRange(least, recommended, most, 2 * cores + 1)


@dataclass(frozen=True, slots=True)
class ProfileClaim:
    """`users`: at least so many, on 6 cores with 12 GB."""

    users: int
    remark: str


PROFILE_CLAIMS: dict[WorkerProfile, ProfileClaim] = {
    "conservative": ProfileClaim(1_000, "two thirds of the cores"),
    "moderate": ProfileClaim(1_500, "as many as cores"),
    "aggressive": ProfileClaim(2_000, "four to five thirds of the cores"),
    "maximum": ProfileClaim(2_000, "2 x cores + 1, discouraged"),
}


def profile_workers(profile: WorkerProfile, cores: int) -> tuple[int, int]:
    """Least and most workers of a profile: only the aggressive one is a range."""
    least = min(MAX_WORKERS, by_formula(profile, "production", cores))
    most = min(MAX_WORKERS, 5 * cores // 3) if profile == "aggressive" else least
    return least, max(least, most)


def memory_gb(workers: int, of_worker: float = WORKER_GB) -> float:
    """Memory of a server that runs everything."""
    return round(workers * of_worker + OTHERS_GB, 1)


@dataclass(frozen=True, slots=True)
class Pools:
    """Connections of all workers by a guide."""

    database_min: int
    database_max: int
    redis_max: int


def pools(workers: int) -> Pools:
    return Pools(MIN_POOL * workers, MAX_POOL * workers, REDIS_PER_WORKER * workers)


def overflowing_connections(workers: int) -> int:
    """The older guide's sum, with 20 connections for administration."""
    return OVERFLOWING_POOL * workers + 20


def overflowing_max_connections(workers: int) -> int:
    return max_connections(OVERFLOWING_POOL * workers)


@dataclass(frozen=True, slots=True)
class Launch:
    """One of the guide's four ways to start: what it sets, by our variables."""

    name: str
    variables: dict[str, str]


LAUNCHES = (
    Launch("development", {"APP_ENV": "development", "GUNICORN_LOG_LEVEL": "debug"}),
    Launch("staging", {"APP_ENV": "staging", "GUNICORN_WORKERS": "4", "GUNICORN_LOG_LEVEL": "info"}),
    Launch(
        "production",
        {
            "APP_ENV": "production",
            "GUNICORN_WORKERS": "6",
            "GUNICORN_LOG_LEVEL": "info",
            "GUNICORN_KEEPALIVE": "65",
            "FACE_MAX_HTTP_CONNECTIONS": "1000",
            "GUNICORN_BACKLOG": "2048",
        },
    ),
    Launch(
        "high",
        {
            "APP_ENV": "production",
            "GUNICORN_WORKERS": "8",
            "GUNICORN_LOG_LEVEL": "warning",
            "GUNICORN_KEEPALIVE": "65",
            "FACE_MAX_HTTP_CONNECTIONS": "2000",
            "GUNICORN_BACKLOG": "4096",
        },
    ),
)


@dataclass(frozen=True, slots=True)
class Claim:
    """Requests a second, users and busy CPU of so many workers, each from least to most."""

    workers: int
    requests_per_s: tuple[int, int]
    users: tuple[int, int]
    cpu_percent: tuple[int, int]


CLAIMS = (
    Claim(1, (100, 200), (50, 100), (15, 25)),
    Claim(4, (800, 1_000), (400, 800), (60, 80)),
    Claim(6, (1_200, 1_500), (600, 1_200), (90, 100)),
    Claim(8, (1_400, 1_800), (800, 1_500), (100, 100)),
)


def claim(workers: int) -> Claim:
    """The claim for the largest number of workers of the table that is not above this one."""
    return [one for one in CLAIMS if one.workers <= max(1, workers)][-1]


@dataclass(frozen=True, slots=True)
class Advice:
    """Least and most workers for a number of users; `more_servers`: one is too few."""

    workers: tuple[int, int]
    more_servers: bool = False


def for_users(users: int) -> Advice:
    for below, workers in ((100, (2, 4)), (500, (4, 4)), (1_000, (6, 6)), (2_001, (8, 8))):
        if users < below:
            return Advice(workers)
    return Advice((8, 8), more_servers=True)


STEPS = ((6, 80.0), (8, 70.0))
"""To so many workers, if the CPU was busy for less than so many percent before."""


def step_up(workers: int, cpu_percent: float) -> int:
    """Workers for the next phase of the guide's migration; the same if it is not due."""
    for after, below in STEPS:
        if workers < after:
            return after if cpu_percent < below else workers
    return workers

"""The tables and formulas of the original guides, at their rows and at their bounds."""

from __future__ import annotations

import pytest

from config.settings import load
from config.sizing import guides
from config.sizing.connections import (
    WEB_DATABASE_CONNECTIONS,
    WEB_REDIS_CONNECTIONS,
    Connections,
    database_connections,
    max_connections,
    redis_connections,
)
from config.sizing.workers import WorkerProfile
from face_app.lifespan import LOOP_THREADS

STRONG = "Zk3-unguessable-and-long-enough-9Qx7"


@pytest.mark.parametrize(
    ("cores", "workers", "pool_size", "sessions"),
    [
        (0, 1, 4, (4, 8)),
        (1, 1, 4, (4, 8)),
        (2, 1, 4, (4, 8)),
        (3, 1, 4, (4, 8)),
        (4, 2, 4, (8, 16)),
        (6, 2, 4, (8, 16)),
        (7, 2, 4, (8, 16)),
        (8, 4, 8, (32, 64)),
        (15, 4, 8, (32, 64)),
        (16, 8, 8, (64, 128)),
        (31, 8, 8, (64, 128)),
        (32, 12, 8, (100, 200)),
        (64, 12, 8, (100, 200)),
    ],
)
def test_pools_by_cores(cores: int, workers: int, pool_size: int, sessions: tuple[int, int]) -> None:
    tier = guides.pool_tier(cores)
    assert (tier.workers, tier.pool_size, tier.sessions) == (workers, pool_size, sessions)


def test_sessions_are_one_to_two_for_each_instance() -> None:
    for tier in guides.POOL_TIERS[:-1]:
        instances = tier.workers * tier.pool_size
        assert tier.sessions == (instances, 2 * instances)


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        (20, guides.WorkerRange(8, 12, 16, 41)),
        (1, guides.WorkerRange(1, 1, 1, 3)),
        (2, guides.WorkerRange(1, 1, 2, 5)),
        (64, guides.WorkerRange(26, 38, 51, 129)),
    ],
)
def test_forty_sixty_and_eighty_percent_of_the_cores(cores: int, expected: guides.WorkerRange) -> None:
    assert guides.worker_range(cores) == expected


def test_the_older_guides_sum_of_connections() -> None:
    assert guides.overflowing_connections(12) == 260
    assert guides.overflowing_max_connections(12) == 300
    assert guides.SHARED_BUFFERS == "256MB"


@pytest.mark.parametrize(
    ("profile", "workers", "users"),
    [
        ("conservative", (4, 4), 1_000),
        ("moderate", (6, 6), 1_500),
        ("aggressive", (8, 10), 2_000),
        ("maximum", (13, 13), 2_000),
    ],
)
def test_profiles_of_six_cores(profile: WorkerProfile, workers: tuple[int, int], users: int) -> None:
    assert guides.profile_workers(profile, 6) == workers
    assert guides.PROFILE_CLAIMS[profile].users == users


@pytest.mark.parametrize("cores", [1, 2, 3, 6, 31, 64, 1_000])
def test_no_range_is_turned_round(cores: int) -> None:
    least, most = guides.profile_workers("aggressive", cores)
    assert 1 <= least <= most


@pytest.mark.parametrize(("workers", "gigabytes"), [(4, 3.7), (6, 4.3), (10, 5.5), (1, 2.8)])
def test_memory_of_a_server_that_runs_everything(workers: int, gigabytes: float) -> None:
    assert guides.memory_gb(workers) == gigabytes
    assert guides.memory_gb(workers, guides.LEAST_WORKER_GB) < gigabytes


@pytest.mark.parametrize(
    ("workers", "database", "redis"), [(4, (8, 40), 40), (6, (12, 60), 60), (8, (16, 80), 80), (1, (2, 10), 10)]
)
def test_pools_of_connections(workers: int, database: tuple[int, int], redis: int) -> None:
    assert guides.pools(workers) == guides.Pools(*database, redis)


@pytest.mark.parametrize(
    ("workers", "requests", "users", "cpu"),
    [
        (1, (100, 200), (50, 100), (15, 25)),
        (3, (100, 200), (50, 100), (15, 25)),
        (4, (800, 1_000), (400, 800), (60, 80)),
        (6, (1_200, 1_500), (600, 1_200), (90, 100)),
        (7, (1_200, 1_500), (600, 1_200), (90, 100)),
        (8, (1_400, 1_800), (800, 1_500), (100, 100)),
        (13, (1_400, 1_800), (800, 1_500), (100, 100)),
    ],
)
def test_claims_by_workers(
    workers: int, requests: tuple[int, int], users: tuple[int, int], cpu: tuple[int, int]
) -> None:
    claim = guides.claim(workers)
    assert (claim.requests_per_s, claim.users, claim.cpu_percent) == (requests, users, cpu)


@pytest.mark.parametrize(
    ("users", "workers", "more_servers"),
    [
        (0, (2, 4), False),
        (99, (2, 4), False),
        (100, (4, 4), False),
        (499, (4, 4), False),
        (500, (6, 6), False),
        (999, (6, 6), False),
        (1_000, (8, 8), False),
        (2_000, (8, 8), False),
        (2_001, (8, 8), True),
    ],
)
def test_workers_by_users(users: int, workers: tuple[int, int], more_servers: bool) -> None:
    assert guides.for_users(users) == guides.Advice(workers, more_servers)


@pytest.mark.parametrize(
    ("workers", "cpu_percent", "after"),
    [(4, 79.9, 6), (4, 80, 4), (2, 10, 6), (6, 69.9, 8), (6, 70, 6), (6, 79, 6), (8, 5, 8), (12, 5, 12)],
)
def test_the_next_phase_of_a_migration(workers: int, cpu_percent: float, after: int) -> None:
    assert guides.step_up(workers, cpu_percent) == after


@pytest.mark.parametrize("launch", guides.LAUNCHES, ids=lambda launch: launch.name)
def test_the_four_launches_are_valid_settings(launch: guides.Launch) -> None:
    settings = load({"FACE_SECRET_KEY": STRONG, "GUNICORN_BIND": "0.0.0.0:11400", **launch.variables})
    workers = {"development": settings.workers, "staging": 4, "production": 6, "high": 8}[launch.name]
    level = {"development": "debug", "high": "warning"}.get(launch.name, "info")
    assert (settings.workers, settings.log_level, settings.keepalive_s) == (workers, level, 65)
    limits = {"production": (1_000, 2_048), "high": (2_000, 4_096)}.get(launch.name, (2_000, 2_048))
    assert (settings.max_http_connections, settings.backlog) == limits


def test_connections_of_web_workers_and_of_the_job_worker() -> None:
    assert database_connections(6, 0) == Connections(web=60, jobs=0)
    assert database_connections(6, 5).total == 60 + 14
    assert database_connections(6, 5).during_reload == 120 + 14
    assert database_connections(6, 0, per_worker=3).total == 18
    assert redis_connections(4, 10) == Connections(web=40, jobs=26)


def test_plans_have_the_connections_that_a_worker_may_make() -> None:
    settings = load({})
    assert (settings.db_connections, settings.redis_max_connections) == (
        WEB_DATABASE_CONNECTIONS,
        WEB_REDIS_CONNECTIONS,
    )
    index, projection = 1, 1
    assert settings.db_pool_size + LOOP_THREADS + index + projection <= settings.db_connections


@pytest.mark.parametrize(("connections", "allowed"), [(0, 100), (80, 100), (81, 200), (240, 300), (280, 300)])
def test_the_server_allows_them_and_twenty_for_administration(connections: int, allowed: int) -> None:
    assert max_connections(connections) == allowed

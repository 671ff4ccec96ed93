"""Readiness of this worker, component by component."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import redis
from asgiref.typing import HTTPScope
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from config.service import service_settings

logger = logging.getLogger(__name__)


CHECK_TIMEOUT_S = 5.0
"""Time after which a check that hangs is answered."""
MIN_FREE_BYTES = 1 << 20
"""Bytes that a disk must have free: more than a few requests write."""


class MigrationsMissing(Exception):
    pass


Report = dict[str, str]
"""`ok`, or the fault in one word, of each component that was checked so far."""
ONE_NETWORK = "one_network"
"""Of the anti-spoof networks: the optional one is missing, and limits are those of the other. The service is ready."""


class SharedCheck:
    """Runs one check at a time and gives its answer to all requests that come meanwhile, so frequent ones cost no more.
    A check that hangs, on a disk or a database, holds one thread at most; each request is told in time where it hangs.

    `check` fills in the report it is given, and reports a component as unavailable before it waits for it.
    """

    def __init__(
        self, check: Callable[[HTTPScope, Report], Awaitable[None]], timeout_s: float = CHECK_TIMEOUT_S
    ) -> None:
        self._check = check
        self._timeout_s = timeout_s
        self._running: asyncio.Future[None] | None = None
        self._report: Report = {}

    async def __call__(self, scope: HTTPScope) -> Report:
        if self._running is None or self._running.done():
            self._report = {}
            self._running = asyncio.ensure_future(self._check(scope, self._report))
        running, report = self._running, self._report
        done, _ = await asyncio.wait({running}, timeout=self._timeout_s)
        if done:
            running.result()
        return {**report} if done else {**report, "check": "unavailable"}


def check_components(report: Report) -> None:
    """Check database, migrations, the directories and, if set, redis, one after the other. Blocks.

    A fault is one word, since the answer is public; the log has the rest.
    """
    settings = service_settings()
    probes: dict[str, Callable[[], None]] = {
        "database": _database,
        "migrations": _migrations,
        "data_dir": lambda: _reserve_space(settings.data_dir),
        "run_dir": lambda: _reserve_space(settings.run_dir),
    }
    if settings.redis_url:
        probes["redis"] = _redis
    for component, probe in probes.items():
        report[component] = "unavailable"
        report[component] = _check(probe)


def _check(probe: Callable[[], None]) -> str:
    try:
        probe()
    except MigrationsMissing as error:
        logger.warning("not ready: %s", error)
        return "missing"
    except Exception as error:
        logger.warning("not ready: %s", error)
        return "unavailable"
    return "ok"


def _database() -> None:
    """Run an update of no row, which fails in a database that is locked, read-only or another one."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_migrations SET name = name WHERE id = 0")


@functools.cache
def _migrations() -> None:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        raise MigrationsMissing(f"{len(missing)} migrations are not applied; run manage.py prepare")


def _reserve_space(directory: Path) -> None:
    """Allocate MIN_FREE_BYTES to a file without a name, which goes when it is closed."""
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        file.write(b"ready")
        os.posix_fallocate(file.fileno(), 0, MIN_FREE_BYTES)


def _redis() -> None:
    with redis.Redis.from_url(service_settings().redis_url, socket_timeout=2) as client:
        client.ping()

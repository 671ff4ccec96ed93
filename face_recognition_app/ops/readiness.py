"""Whether this worker can do its work, component by component."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable

import redis
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from ops.service import service_settings

logger = logging.getLogger(__name__)


class MigrationsMissing(Exception):
    pass


class SharedCheck:
    """One check at a time: whoever asks meanwhile gets its answer, so that asking often costs no more."""

    def __init__(self, check: Callable[[], Awaitable[dict[str, str]]]) -> None:
        self._check = check
        self._running: asyncio.Future[dict[str, str]] | None = None

    async def __call__(self) -> dict[str, str]:
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(self._check())
        return await asyncio.shield(self._running)


def check_components() -> dict[str, str]:
    """`ok` or what is wrong, for models, database, migrations and, if set, redis. Blocks.

    What is wrong is one word: the answer is the public's, and the log has the rest.
    """
    report = {"models": "ok", "database": _check(_database), "migrations": _check(_migrations)}
    if service_settings().redis_url:
        report["redis"] = _check(_redis)
    return report


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
    """Writes nothing, but may: a database that is locked, read-only or another one says so."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE django_migrations SET name = name WHERE id = 0")


@functools.cache
def _migrations() -> None:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        raise MigrationsMissing(f"{len(missing)} migrations are not applied; run manage.py prepare")


def _redis() -> None:
    with redis.Redis.from_url(service_settings().redis_url, socket_timeout=2) as client:
        client.ping()

"""Whether this worker can do its work, component by component."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import redis
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from ops.service import service_settings

logger = logging.getLogger(__name__)


def check_components() -> dict[str, str]:
    """`ok` or what is wrong, for models, database, migrations and, if set, redis. Blocks."""
    report = {"models": "ok", "database": _check(_database), "migrations": _check(_migrations)}
    if service_settings().redis_url:
        report["redis"] = _check(_redis)
    return report


def _check(probe: Callable[[], None]) -> str:
    try:
        probe()
    except Exception as error:
        logger.warning("not ready: %s", error)
        return type(error).__name__
    return "ok"


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


class MigrationsMissing(Exception):
    pass


@functools.cache
def _migrations() -> None:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        raise MigrationsMissing(f"{len(missing)} migrations are not applied; run manage.py prepare")


def _redis() -> None:
    with redis.Redis.from_url(service_settings().redis_url, socket_timeout=2) as client:
        client.ping()

"""What the database's server and Redis know of their connections."""

from __future__ import annotations

from collections.abc import Iterator

import redis
from django.db import connection
from prometheus_client.core import GaugeMetricFamily, Metric

from database.calls import with_connection
from monitoring.collectors.background import BackgroundCollector
from wire.errors import Unavailable

ANSWER_S = 1.5
"""Less than a scrape waits."""


class DatabaseCollector(BackgroundCollector):
    def __init__(self) -> None:
        super().__init__("database")

    def ask(self) -> Iterator[Metric]:
        try:
            counts = with_connection(_connections)
        except Unavailable:
            counts = None
        finally:
            connection.close()
        yield GaugeMetricFamily("face_database_up", "Whether the database answers: 1 or 0.", float(counts is not None))
        if counts:
            yield GaugeMetricFamily("face_database_connections", "Connections to the database, of anybody.", counts[0])
            yield GaugeMetricFamily("face_database_max_connections", "Connections that its server takes.", counts[1])


class RedisCollector(BackgroundCollector):
    def __init__(self, url: str) -> None:
        super().__init__("Redis")
        self._url = url

    def ask(self) -> Iterator[Metric]:
        info = self._info()
        yield GaugeMetricFamily("face_redis_up", "Whether Redis answers: 1 or 0.", float(info is not None))
        if info is not None:
            yield GaugeMetricFamily("face_redis_connections", "Connections of anybody.", info["connected_clients"])
            yield GaugeMetricFamily("face_redis_max_connections", "Connections that it takes.", info["maxclients"])
            yield GaugeMetricFamily("face_redis_memory_bytes", "Memory of its data.", info["used_memory"])

    def _info(self) -> dict[str, float] | None:
        asked = redis.Redis.from_url(self._url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S)
        try:
            with asked as client:
                found: dict[str, float] = client.info()
                return found
        except redis.RedisError:
            return None


def _connections() -> tuple[int, int] | tuple[()]:
    """Connections now and at most; nothing where the database is a file."""
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            cursor.execute("SELECT 1")
            return ()
        cursor.execute(
            "SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity "
            "WHERE datname = current_database()"
        )
        now, most = cursor.fetchone()
        return now, most

"""The connection to Redis, and what is in its queues."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import redis

from config.job_settings import job_settings
from config.service import service_settings
from database.redis_access import BoundedPool, Connection
from jobs.broker.queues import KEY_PREFIX, queue_of
from vocabulary.jobs import JobType, Priority

PATIENCE_S = 1.0
"""How long whoever asks for a job waits for Redis: it is accepted without it, too."""


@cache
def connection() -> Connection[redis.Redis]:
    pool = BoundedPool.from_url(
        job_settings().redis_url, max_connections=service_settings().redis_max_connections, patience_s=PATIENCE_S
    )
    return Connection(redis.Redis.from_pool(pool))


def length(type_: str, priority: str) -> int:
    """Number of ids that no worker has taken. Raises redis.RedisError."""
    with connection().asked() as client:
        found = client.llen(KEY_PREFIX + queue_of(type_, priority))
    assert isinstance(found, int)
    return found


def depths(types: Sequence[JobType], priorities: Sequence[Priority]) -> dict[str, int]:
    """Number of ids that no worker has taken, by priority. Raises redis.RedisError."""
    with connection().asked() as client, client.pipeline(transaction=False) as pipeline:
        for priority in priorities:
            for type_ in types:
                pipeline.llen(KEY_PREFIX + queue_of(type_, priority))
        found = iter(pipeline.execute())
    return {priority.value: sum(next(found) for _ in types) for priority in priorities}


def take(keys: Sequence[str]) -> bytes | None:
    """The next message of the first queue that has one. Raises redis.RedisError, also from a Redis older than 7."""
    with connection().asked() as client:
        found = client.lmpop(len(keys), *keys, direction="RIGHT")
    if not found:
        return None
    raw = found[1][0]
    assert isinstance(raw, bytes)
    return raw


def is_empty(type_: str, priority: str) -> bool:
    """Whether the queue is known to be empty; False when Redis cannot be asked."""
    try:
        return length(type_, priority) == 0
    except redis.RedisError:
        return False

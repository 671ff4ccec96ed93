"""What is in the broker's queues."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import redis

from config.job_settings import job_settings
from jobs.broker.application import SILENCE_S
from jobs.broker.queues import KEY_PREFIX, queue_of
from vocabulary.jobs import JobType, Priority


@cache
def client() -> redis.Redis:
    return redis.Redis.from_url(
        job_settings().redis_url, socket_timeout=SILENCE_S, socket_connect_timeout=SILENCE_S, decode_responses=True
    )


def length(type_: str, priority: str) -> int:
    """Number of ids that no worker has taken. Raises redis.RedisError."""
    found = client().llen(KEY_PREFIX + queue_of(type_, priority))
    assert isinstance(found, int)
    return found


def depths(types: Sequence[JobType], priorities: Sequence[Priority]) -> dict[str, int]:
    """Number of ids that no worker has taken, by priority. Raises redis.RedisError."""
    pipeline = client().pipeline(transaction=False)
    for priority in priorities:
        for type_ in types:
            pipeline.llen(KEY_PREFIX + queue_of(type_, priority))
    found = iter(pipeline.execute())
    return {priority.value: sum(next(found) for _ in types) for priority in priorities}


def is_empty(type_: str, priority: str) -> bool:
    """Whether the queue is known to be empty; False when Redis cannot be asked."""
    try:
        return length(type_, priority) == 0
    except redis.RedisError:
        return False

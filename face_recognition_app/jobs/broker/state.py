"""The connection to Redis, and what is in its queues."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.job_settings import job_settings
from config.service import service_settings
from jobs.broker.queues import KEY_PREFIX, queue_of
from vocabulary.jobs import JobType, Priority

PATIENCE_S = 1.0
"""How long whoever asks for a job waits for Redis: it is accepted without it, too."""
PAUSE_S = 5.0
"""How long a Redis that did not answer is not asked again: each question to a silent one would hold a thread."""


@dataclass(slots=True)
class Connection:
    """The connections of this process. `failed_at`: when Redis did not answer last; None while it does."""

    client: redis.Redis
    failed_at: float | None = None

    @contextmanager
    def asked(self) -> Iterator[redis.Redis]:
        """A block in which Redis is asked. Raises redis.ConnectionError at once during the pause."""
        now = time.monotonic()
        if self.failed_at is not None:
            if now - self.failed_at < PAUSE_S:
                raise redis.ConnectionError("Redis did not answer a moment ago")
            self.failed_at = now  # This thread tries; the others go on without Redis.
        failed_at = None
        try:
            yield self.client
        except (redis.ConnectionError, redis.TimeoutError):
            failed_at = time.monotonic()
            raise
        finally:
            self.failed_at = failed_at


@cache
def connection() -> Connection:
    """Whoever finds all its connections in use waits for one as long as for an answer."""
    pool = redis.BlockingConnectionPool.from_url(
        job_settings().redis_url,
        max_connections=service_settings().redis_max_connections,
        timeout=PATIENCE_S,
        socket_timeout=PATIENCE_S,
        socket_connect_timeout=PATIENCE_S,
        # A connection that Redis has closed is made anew; silence is waited for once.
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
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

"""Redis as every part of the service asks it: few connections, short waits, and none for a while after a silence."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

Client = TypeVar("Client")

PAUSE_S = 5.0
"""How long a Redis that did not answer is not asked again: each question to a silent one would hold a thread."""


@dataclass(slots=True)
class Connection(Generic[Client]):
    """The connections of this process. `failed_at`: when Redis did not answer last; None while it does."""

    client: Client
    failed_at: float | None = None

    @contextmanager
    def asked(self) -> Iterator[Client]:
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


class BoundedPool(redis.BlockingConnectionPool):
    """Whoever finds all connections in use waits for one as long as for an answer, `patience_s`."""

    def __init__(self, *, max_connections: int, patience_s: float, **options: Any) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            max_connections=max_connections,
            timeout=patience_s,
            socket_timeout=patience_s,
            socket_connect_timeout=patience_s,
            # A connection that Redis has closed is made anew; silence is waited for once.
            retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
            **options,
        )


class Text:
    """Serializer of the cache, for text alone. Django's own unpickles, which runs what others wrote into Redis."""

    def dumps(self, value: str) -> bytes:
        return value.encode()

    def loads(self, value: bytes) -> str:
        return value.decode()

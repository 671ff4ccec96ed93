"""Answers that cannot change any more, kept in Redis (REDIS_CACHE_ENABLED). Without Redis they are made anew."""

from __future__ import annotations

import hashlib
import json
import logging
from functools import cache

import redis
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.base import BaseCache
from pydantic import BaseModel

from config.service import service_settings
from database.redis_access import Connection
from logs.advice import warn_once
from monitoring import metrics

logger = logging.getLogger(__name__)


def is_enabled() -> bool:
    return service_settings().redis_cache_enabled


def find(key: str, kind: type[BaseModel]) -> str | None:
    """The answer, as JSON, that is kept as `key`; None without one, and while Redis does not answer."""
    try:
        with _connection().asked() as kept:
            answer: str | None = kept.get(key, version=_form_of(kind))
        if answer is not None:
            kind.model_validate_json(answer)
    except redis.RedisError:
        warn_once(logger, "the cache in REDIS_URL cannot be used: answers are made anew")
        metrics.cache_reads.labels("unavailable").inc()
        return None
    except ValueError:
        answer = None  # Somebody else's text: it is replaced.
    metrics.cache_reads.labels("miss" if answer is None else "hit").inc()
    return answer


def keep(key: str, kind: type[BaseModel], answer: str, seconds: float) -> None:
    """Keep the answer for so many seconds, if Redis takes it."""
    try:
        with _connection().asked() as kept:
            kept.set(key, answer, timeout=int(seconds), version=_form_of(kind))
    except redis.RedisError:
        warn_once(logger, "the cache in REDIS_URL takes nothing: answers are made anew")


@cache
def _form_of(kind: type[BaseModel]) -> int:
    """A digest of the answer's fields, part of its key: no release reads what another one has kept otherwise."""
    digest = hashlib.sha256(json.dumps(kind.model_json_schema()).encode()).digest()
    return int.from_bytes(digest[:6])


@cache
def _connection() -> Connection[BaseCache]:
    # One for the process: Django's own is one for each context, so each request would open a connection.
    return Connection(caches.create_connection(DEFAULT_CACHE_ALIAS))

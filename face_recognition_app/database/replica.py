"""Reads that may be a few seconds old, on a replica where there is one.

A read goes there only within `read_stale`. Whatever must see what was just written (searches, sessions, locks, keys,
trails, exports) is never put into one, and so asks the database itself, as everything does without a replica.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from django.conf import settings

from database.outages import outage_of
from logs.advice import warn_once

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

ALIAS = "replica"
_may_be_stale: ContextVar[bool] = ContextVar("may_be_stale", default=False)


class ReplicaRouter:
    """Django's router of queries."""

    def db_for_read(self, model: type[Any], **hints: Any) -> str | None:
        return ALIAS if _may_be_stale.get() else None

    def db_for_write(self, model: type[Any], **hints: Any) -> str:
        return "default"

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db != ALIAS


def read_stale(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function`, which only reads and fetches what it returns, on the replica; on the database itself where there
    is none, or where it cannot be used."""
    if ALIAS not in settings.DATABASES:
        return function(*args, **kwargs)
    try:
        with _stale_reads():
            return function(*args, **kwargs)
    except Exception as error:
        if outage_of(error) is None:
            raise
        warn_once(logger, "the replica of DATABASE_REPLICA_URL cannot be used: the database itself is asked")
    return function(*args, **kwargs)


@contextmanager
def _stale_reads() -> Iterator[None]:
    before = _may_be_stale.set(True)
    try:
        yield
    finally:
        _may_be_stale.reset(before)

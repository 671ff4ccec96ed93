"""Outages of the database or the disk: which errors mean one, what callers get, and what is logged."""

from __future__ import annotations

import asyncio
import errno
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, NotSupportedError, ProgrammingError

from wire.errors import Unavailable

logger = logging.getLogger(__name__)
T = TypeVar("T")

RETRY_AFTER_MS = 2_000
OUTAGE_RETRY_S = 2.0
"""Time for which a session retries before its client is told: a failover or a lock often ends sooner."""
RETRY_INTERVAL_S = 0.2
OUTAGE_LOG_INTERVAL_S = 30.0

DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
DEFECTS = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
"""Errors of Django's that are about a statement, and do not mean an outage."""


class OutageWatch:
    """Remembers when this process last saw an outage, and logs it, but not every call that failed."""

    def __init__(self) -> None:
        self._seen_at = -math.inf
        self._warned_at = -math.inf

    def note(self, error: BaseException) -> None:
        self._seen_at = now = time.monotonic()
        if now - self._warned_at > OUTAGE_LOG_INTERVAL_S:
            self._warned_at = now
            logger.error("the database or the disk cannot be used: %s: %s", type(error).__name__, error)

    def seen_within(self, seconds: float) -> bool:
        return time.monotonic() - self._seen_at <= seconds


watch = OutageWatch()


def outage_of(error: BaseException) -> Unavailable | None:
    """The error for the caller if `error` means that the database or the disk cannot be used, else None.

    An outage is noted by `watch`. The message is public, and so does not name the fault.
    """
    if isinstance(error, Unavailable):
        return error
    if _says_database(error):
        unavailable = Unavailable("the database cannot be used now", RETRY_AFTER_MS)
    elif isinstance(error, OSError) and error.errno in DISK_ERRORS:
        unavailable = Unavailable("the disk cannot be used now", RETRY_AFTER_MS)
    else:
        return None
    watch.note(error)
    return unavailable


def _says_database(error: BaseException) -> bool:
    return isinstance(error, DatabaseError | InterfaceError) and not isinstance(error, DEFECTS)


async def retry_unavailable(call: Callable[[], Awaitable[T]]) -> T:
    """Call `call`, again and again during an outage, for OUTAGE_RETRY_S; then raises Unavailable.

    Only for calls that may be repeated: one that failed may have been carried out.
    """
    deadline = time.monotonic() + OUTAGE_RETRY_S
    while True:
        try:
            return await call()
        except Unavailable as error:
            if not error.passes or time.monotonic() + RETRY_INTERVAL_S > deadline:
                raise
        await asyncio.sleep(RETRY_INTERVAL_S)

"""SQLite's write-ahead log, which keeps deleted content until it is emptied."""

from __future__ import annotations

import logging

from django.db import DatabaseError, connection

logger = logging.getLogger(__name__)

CHECKPOINT_TIMEOUT_MS = 1_000


def empty() -> bool:
    """Write the log back into the database and truncate it. Returns False when a later call must do it.

    Deleted content is zero in the database (secure_delete), and gone with the log. Does nothing on PostgreSQL, whose
    log is the operator's concern. Must not be called within a transaction.
    """
    if connection.vendor != "sqlite":
        return True
    try:
        emptied = _checkpoint()
    except DatabaseError:  # The deletion itself is done; only the log still has the content.
        logger.warning("the write-ahead log could not be emptied; it is tried again later", exc_info=True)
        return False
    if not emptied:
        logger.info("the write-ahead log is in use; it is emptied later")
    return emptied


def _checkpoint() -> bool:
    with connection.cursor() as cursor:
        (before_ms,) = cursor.execute("PRAGMA busy_timeout").fetchone()
        cursor.execute(f"PRAGMA busy_timeout = {CHECKPOINT_TIMEOUT_MS}")
        try:
            is_busy, _, _ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {before_ms}")
    return not is_busy

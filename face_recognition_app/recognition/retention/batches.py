"""Deleting rows that nobody needs any more, beside the sessions that use their neighbours."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

BATCH = 50
"""Rows of one transaction: SQLite lets nobody else write while it lasts."""
BATCHES_AT_ONCE = 40


def delete(rows: QuerySet[Any]) -> None:
    rows.delete()


def sweep(rows: QuerySet[Any], apply: Callable[[QuerySet[Any]], object] = delete, pause_s: float = 0.0) -> int:
    """Delete a bounded number of rows, or do with them what `apply` does, in short transactions; how many.

    They are looked for outside of the transactions: that may take long where there are many rows. In the pauses between
    them others write: who waits for SQLite's lock looks for it only now and then.
    """
    found = list(rows.values_list("pk", flat=True)[: BATCH * BATCHES_AT_ONCE])
    done = 0
    for begin in range(0, len(found), BATCH):
        if begin:
            time.sleep(pause_s)
        done += _sweep_batch(rows, found[begin : begin + BATCH], apply)
    return done


def _sweep_batch(rows: QuerySet[Any], keys: list[Any], apply: Callable[[QuerySet[Any]], object]) -> int:
    with transaction.atomic():
        # Rows that a transaction holds are left for the next round: it could wait for us as we for it.
        still = rows.filter(pk__in=keys).select_for_update(skip_locked=True)
        held = list(still.values_list("pk", flat=True))
        apply(rows.model._default_manager.filter(pk__in=held))
    return len(held)

"""Batched deletes that do not block concurrent sessions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

BATCH = 50
"""Rows per transaction: on SQLite no other write is possible while it lasts."""
BATCHES_AT_ONCE = 40


def delete(rows: QuerySet[Any]) -> None:
    rows.delete()


def apply_in_batches(
    rows: QuerySet[Any], apply: Callable[[QuerySet[Any]], object] = delete, pause_s: float = 0.0
) -> int:
    """Delete a bounded number of rows, or apply `apply` to them, in short transactions. Returns their number.

    The rows are selected outside the transactions, since that may take long with many rows. The pauses between the
    transactions let others write: a connection that waits for SQLite's lock tries it only now and then.
    """
    found = list(rows.values_list("pk", flat=True)[: BATCH * BATCHES_AT_ONCE])
    done = 0
    for begin in range(0, len(found), BATCH):
        if begin:
            time.sleep(pause_s)
        done += _apply_to_batch(rows, found[begin : begin + BATCH], apply)
    return done


def apply_to_batch(rows: QuerySet[Any], apply: Callable[[QuerySet[Any]], object] = delete) -> int:
    """The same with one transaction's rows."""
    return _apply_to_batch(rows, list(rows.values_list("pk", flat=True)[:BATCH]), apply)


def _apply_to_batch(rows: QuerySet[Any], keys: list[Any], apply: Callable[[QuerySet[Any]], object]) -> int:
    with transaction.atomic():
        # Skip locked rows to avoid deadlocks; the next round gets them.
        still = rows.filter(pk__in=keys).select_for_update(skip_locked=True)
        held = list(still.values_list("pk", flat=True))
        apply(rows.model._base_manager.filter(pk__in=held))
    return len(held)

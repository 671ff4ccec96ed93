"""Deleting rows that nobody needs any more, beside the sessions that use their neighbours."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet

BATCH = 1_000
BATCHES_AT_ONCE = 20


def sweep(rows: QuerySet[Any]) -> int:
    """Delete a bounded number of rows in short transactions; how many."""
    deleted = 0
    for _ in range(BATCHES_AT_ONCE):
        batch = _delete_batch(rows)
        deleted += batch
        if batch < BATCH:
            break
    return deleted


def _delete_batch(rows: QuerySet[Any]) -> int:
    with transaction.atomic():
        # Rows that a transaction holds are left for the next round: it could wait for us as we for it.
        found = list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True)[:BATCH])
        deleted, _ = rows.model._default_manager.filter(pk__in=found).delete()
    return int(deleted)

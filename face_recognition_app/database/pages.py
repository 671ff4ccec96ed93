"""Rows in pages, by primary key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """One page. `last_key`: the primary key after which the next page begins; None on the last page."""

    rows: list[M]
    last_key: int | None


def page_after(rows: QuerySet[M], key: int, limit: int) -> Page[M]:
    """Up to `limit` rows in the order of the primary key, from the first one greater than `key`."""
    found = list(rows.filter(pk__gt=key).order_by("pk")[: limit + 1])
    more = len(found) > limit
    return Page(found[:limit], found[limit - 1].pk if more else None)


def page_before(rows: QuerySet[M], key: int, limit: int) -> Page[M]:
    """Up to `limit` rows from the last one less than `key` backwards; 0: from the last. New rows join no later page."""
    found = list((rows.filter(pk__lt=key) if key else rows).order_by("-pk")[: limit + 1])
    more = len(found) > limit
    return Page(found[:limit], found[limit - 1].pk if more else None)

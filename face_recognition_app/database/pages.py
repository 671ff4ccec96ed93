"""Rows in pages, by primary key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Page(Generic[M]):
    """`last_key`: the primary key after which the next page begins; None at the end."""

    rows: list[M]
    last_key: int | None


def page_after(rows: QuerySet[M], key: int, limit: int) -> Page[M]:
    """Up to `limit` rows whose primary key is greater than `key`, in its order."""
    found = list(rows.filter(pk__gt=key).order_by("pk")[: limit + 1])
    more = len(found) > limit
    return Page(found[:limit], found[limit - 1].pk if more else None)

"""Lists in pages: an opaque cursor says after which row to go on."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, TypeVar

from django.db.models import Model, QuerySet
from ninja import Query

from recognition.api.errors import ApiError
from vocabulary.errors import ErrorCode

M = TypeVar("M", bound=Model)

Limit = Annotated[int, Query(ge=1, le=100)]
DEFAULT_LIMIT = 50


def page(rows: QuerySet[M], cursor: str | None, limit: int) -> tuple[list[M], str | None]:
    """Up to `limit` rows by primary key, and the cursor of the next page, None at the end."""
    after = _decode(cursor) if cursor else 0
    found = list(rows.filter(pk__gt=after).order_by("pk")[: limit + 1])
    more = len(found) > limit
    return found[:limit], _encode(found[limit - 1].pk) if more else None


def _encode(primary_key: Any) -> str:
    return base64.urlsafe_b64encode(str(primary_key).encode()).decode()


def _decode(cursor: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(cursor.encode()))
    except (binascii.Error, ValueError) as error:
        raise ApiError(ErrorCode.VALIDATION_ERROR, "cursor: not one that this list gave") from error

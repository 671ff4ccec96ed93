"""Pagination: an opaque cursor encodes the primary key after which the next page begins."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from ninja import Query

from recognition.api.errors import ApiError
from vocabulary.errors import ErrorCode

Limit = Annotated[int, Query(ge=1, le=100)]
DEFAULT_LIMIT = 50


def key_in(cursor: str | None) -> int:
    """The primary key after which a page begins. Raises ApiError."""
    return _decode(cursor) if cursor else 0


def cursor_for(key: int | None) -> str | None:
    """The cursor of the next page; None after the last page."""
    return None if key is None else base64.urlsafe_b64encode(str(key).encode()).decode()


def _decode(cursor: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(cursor.encode()))
    except (binascii.Error, ValueError) as error:
        raise ApiError(ErrorCode.VALIDATION_ERROR, "cursor: not one that this list gave") from error

"""Pagination: a cursor is the primary key after which the next page begins, sealed for one tenant.

Primary keys are numbered across tenants: an open one would tell how many people others enrol.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Annotated

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from ninja import Query

from config.secret import secret_key
from config.service import service_settings
from recognition.api.errors import ApiError
from tenants.models import Tenant
from vocabulary.errors import ErrorCode

Limit = Annotated[int, Query(ge=1, le=100)]
DEFAULT_LIMIT = 50


def key_in(tenant: Tenant, cursor: str | None) -> int:
    """The primary key after which a page begins. Raises ApiError for a cursor that no list gave this tenant."""
    if not cursor:
        return 0
    try:
        return int(_seal().decrypt(base64.urlsafe_b64decode(cursor.encode()), _bound_to(tenant)))
    except (binascii.Error, ValueError, InvalidTag) as error:
        raise ApiError(ErrorCode.VALIDATION_ERROR, "cursor: not one that this list gave") from error


def cursor_for(tenant: Tenant, key: int | None) -> str | None:
    """The cursor of the next page; None after the last page."""
    if key is None:
        return None
    return base64.urlsafe_b64encode(_seal().encrypt(str(key).encode(), _bound_to(tenant))).decode()


def _seal() -> AESSIV:
    return AESSIV(hmac.digest(secret_key(service_settings()).encode(), b"cursor", "sha256"))


def _bound_to(tenant: Tenant) -> list[bytes]:
    return [str(tenant.pk).encode()]

"""Helpers of this package's tests of keys."""

from __future__ import annotations

from tenants.keys import find_living_key
from tenants.models import Tenant


def tenant_of(text: str) -> Tenant | None:
    key = find_living_key(text)
    return None if key is None else key.tenant

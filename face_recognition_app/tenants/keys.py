"""API keys: made once, kept as a hash, looked up by it."""

from __future__ import annotations

import hashlib
import re
import secrets

from django.db import transaction

from tenants.models import ApiKey, Tenant

KEY_PREFIX = "fk_"
_TENANT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class InvalidTenantName(Exception):
    pass


class TenantExists(Exception):
    pass


def token_hash(token: str) -> str:
    """SHA-256, hexadecimal: for random tokens only, never for passwords."""
    return hashlib.sha256(token.encode()).hexdigest()


def create_tenant(name: str) -> tuple[Tenant, str]:
    """A new tenant and its first API key, which nobody can read again later."""
    if not _TENANT_NAME.fullmatch(name):
        raise InvalidTenantName(f"{name!r}: use 1 to 63 of a-z, 0-9 and -, beginning with a letter or digit")
    with transaction.atomic():
        tenant, created = Tenant.objects.get_or_create(name=name)
        if not created:
            raise TenantExists(f"there is a tenant {name!r} already")
        return tenant, issue_key(tenant)


def issue_key(tenant: Tenant) -> str:
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    ApiKey.objects.create(tenant=tenant, key_hash=token_hash(key))
    return key


def tenant_of_key(key: str) -> Tenant | None:
    found = ApiKey.objects.select_related("tenant").filter(key_hash=token_hash(key), revoked_at=None).first()
    return found.tenant if found else None

"""API keys: shown once, kept as a hash, looked up by it, replaced with an overlap, revoked at once."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet

from database import clock
from tenants.models import ApiKey, Tenant
from tenants.names import TenantExists, check_tenant_name
from tenants.scopes import Scope, in_order, read_scopes
from vocabulary.errors import ErrorCode, ServiceError

KEY_PREFIX = "fk_"
SHOWN_CHARACTERS = len(KEY_PREFIX) + 8
"""Characters shown of a key: enough to tell keys apart. The 35 hidden ones cannot be guessed."""
MAX_NAME_CHARACTERS = 64
FIRST_KEY = "default"


class KeyProblem(ServiceError):
    """
    KeyProblem
    ├── InvalidKey     a name, scopes or an end that a key cannot have
    ├── KeyNotFound    no such key of this tenant, or it is revoked
    ├── KeyReplaced    the key was rotated before
    └── LastAdminKey   without it nobody could manage the tenant's keys over REST
    """


class InvalidKey(KeyProblem):
    code = ErrorCode.VALIDATION_ERROR


class KeyNotFound(KeyProblem):
    code = ErrorCode.KEY_NOT_FOUND


class KeyReplaced(KeyProblem):
    code = ErrorCode.KEY_REPLACED


class LastAdminKey(KeyProblem):
    code = ErrorCode.LAST_ADMIN_KEY


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key; `text` cannot be read again later."""

    row: ApiKey
    text: str


def token_hash(token: str) -> str:
    """SHA-256, hexadecimal: for random tokens only, never for passwords."""
    return hashlib.sha256(token.encode()).hexdigest()


def create_tenant(name: str) -> tuple[Tenant, str]:
    """Make a tenant. Returns it and the text of its first API key, which has every scope."""
    check_tenant_name(name)
    with transaction.atomic():
        tenant, created = Tenant.objects.get_or_create(name=name)
        if not created:
            raise TenantExists(f"there is a tenant {name!r} already")
        return tenant, issue_key(tenant, FIRST_KEY, Scope).text


def issue_key(tenant: Tenant, name: str, scopes: Iterable[Scope], expires_at: datetime | None = None) -> IssuedKey:
    """Raises InvalidKey."""
    scopes = in_order(scopes)
    if not (name.isprintable() and len(name) <= MAX_NAME_CHARACTERS):
        raise InvalidKey(f"name: use at most {MAX_NAME_CHARACTERS} printable characters")
    if not scopes:
        raise InvalidKey(f"scopes: name at least one of {', '.join(Scope)}")
    now = clock.now()
    if expires_at is not None and expires_at <= now:
        raise InvalidKey("expires_at: it is in the past")
    text = KEY_PREFIX + secrets.token_urlsafe(32)
    row = ApiKey.objects.create(
        tenant=tenant,
        name=name,
        scopes=scopes,
        prefix=text[:SHOWN_CHARACTERS],
        key_hash=token_hash(text),
        created_at=now,
        expires_at=expires_at,
    )
    return IssuedKey(row, text)


def find_living_key(text: str) -> ApiKey | None:
    """The key of this text, which says itself whose it is."""
    keys = ApiKey.across_tenants.select_related("tenant").filter(_lives(), key_hash=token_hash(text))
    return keys.first()


def find_living_key_by_id(tenant_id: int, public_id: uuid.UUID) -> ApiKey | None:
    keys = ApiKey.objects.select_related("tenant").filter(_lives(), tenant=tenant_id, public_id=public_id)
    return keys.first()


def keys_of(tenant: Tenant) -> QuerySet[ApiKey]:
    """Keys that are not revoked, including expired ones."""
    return ApiKey.objects.filter(tenant=tenant, revoked_at=None)


def revoke_key(tenant: Tenant, public_id: uuid.UUID) -> ApiKey:
    """Revoke the key and its access tokens from this commit on. Raises KeyNotFound."""
    with transaction.atomic():
        tenant.lock()
        key = _get(tenant, public_id)
        key.revoked_at = clock.now()
        key.save(update_fields=["revoked_at"])
        return key


def revoke_unless_last_admin(tenant: Tenant, public_id: uuid.UUID) -> ApiKey:
    """Do as `revoke_key`, but raise LastAdminKey rather than lock the tenant out."""
    with transaction.atomic():
        tenant.lock()
        if Scope.ADMIN in _get(tenant, public_id).opens and not has_other_admin(tenant, public_id):
            raise LastAdminKey("the last key with the scope admin cannot be revoked: issue another one first")
        return revoke_key(tenant, public_id)


def has_other_admin(tenant: Tenant, public_id: uuid.UUID) -> bool:
    """Whether a key that was not replaced, and lives, could still manage the tenant's keys."""
    others = keys_of(tenant).filter(_lives(), successor=None).exclude(public_id=public_id)
    return any(Scope.ADMIN in key.opens for key in others)


def rotate_key(tenant: Tenant, public_id: uuid.UUID, overlap: timedelta) -> IssuedKey:
    """A new key with the name, scopes and length of life of an old one, which ends after `overlap` at the latest.

    Raises KeyNotFound or KeyReplaced.
    """
    with transaction.atomic():
        tenant.lock()
        old = _get(tenant, public_id)
        if old.successor is not None:
            raise KeyReplaced(f"the key was replaced already, by {old.successor.public_id}: rotate that one")
        now = clock.now()
        end = None if old.expires_at is None else now + (old.expires_at - old.created_at)
        issued = issue_key(tenant, old.name, read_scopes(old.scopes), end)
        old.successor = issued.row
        old.expires_at = now + overlap if old.expires_at is None else min(old.expires_at, now + overlap)
        old.save(update_fields=["successor", "expires_at"])
        return issued


def _lives() -> Q:
    """Whether a key can be used now."""
    return (Q(expires_at=None) | Q(expires_at__gt=clock.in_query())) & Q(revoked_at=None)


def _get(tenant: Tenant, public_id: uuid.UUID) -> ApiKey:
    key = keys_of(tenant).select_related("successor").filter(public_id=public_id).first()
    if key is None:
        raise KeyNotFound(f"there is no key {public_id}")
    return key

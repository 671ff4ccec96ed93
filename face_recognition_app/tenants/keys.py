"""API keys: shown once, kept as a hash, looked up by it, replaced with an overlap, revoked at once."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from audit.chain import Event, record
from database import clock, rows
from tenants.models import ApiKey, Tenant
from tenants.names import TenantExists, check_tenant_name
from tenants.scopes import Scope, in_order, read_scopes
from vocabulary.audit import AuditKind
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
    with transaction.atomic():
        issued = _make_key(tenant, name, scopes, now, expires_at)
        record(tenant.pk, _about(AuditKind.KEY_ISSUED, issued.row))
    return issued


def _make_key(
    tenant: Tenant, name: str, scopes: Iterable[Scope], now: datetime, expires_at: datetime | None
) -> IssuedKey:
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


def _about(kind: AuditKind, key: ApiKey, **details: str) -> Event:
    scopes = [str(scope) for scope in in_order(read_scopes(key.scopes))]
    return Event(kind, None, {"key": str(key.public_id), "prefix": key.prefix, "scopes": scopes, **details})


def find_living_key(text: str) -> ApiKey | None:
    """The key of this text, which says itself whose it is."""
    return _living(rows.find_by_secret(ApiKey, "key_hash", token_hash(text)))


def find_living_key_by_id(tenant_id: int, public_id: uuid.UUID) -> ApiKey | None:
    return _living(rows.find(ApiKey, tenant_id=tenant_id, public_id=public_id))


def _living(key: ApiKey | None) -> ApiKey | None:
    """The key with its tenant; None for one that cannot be used now."""
    tenant = rows.find(Tenant, id=key.tenant_id) if key is not None and _lives(key) else None
    if key is None or tenant is None:
        return None
    key.tenant = tenant
    return key


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
        record(tenant.pk, _about(AuditKind.KEY_REVOKED, key))
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
    others = keys_of(tenant).filter(successor=None).exclude(public_id=public_id)
    return any(Scope.ADMIN in key.opens and _lives(key) for key in others)


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
        issued = _make_key(tenant, old.name, in_order(read_scopes(old.scopes)), now, end)
        old.successor = issued.row
        old.expires_at = now + overlap if old.expires_at is None else min(old.expires_at, now + overlap)
        old.save(update_fields=["successor", "expires_at"])
        record(tenant.pk, _about(AuditKind.KEY_ROTATED, issued.row, replaces=str(old.public_id)))
        return issued


def _lives(key: ApiKey) -> bool:
    """Whether the key, as it was just read, can be used now."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > clock.now())


def _get(tenant: Tenant, public_id: uuid.UUID) -> ApiKey:
    key = keys_of(tenant).select_related("successor").filter(public_id=public_id).first()
    if key is None:
        raise KeyNotFound(f"there is no key {public_id}")
    return key

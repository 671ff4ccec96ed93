"""Secrets of tenants, one for each epoch: random, wrapped by a master key, in a table of their own.

Deleting a tenant's rows makes its templates unreadable for ever, in every backup that lacks those rows, too.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Length

from audit.chain import Detail, Event, record
from config.given_keys import KEY_BYTES
from core.types import EMBEDDING_LENGTH
from gallery.models import Template, TemplateKey
from gallery.protection.errors import KeysUnavailable, MasterKeyError, SecretGone
from gallery.protection.master_keys import MasterKeys, derive
from gallery.protection.rotation import Rotation, forget_matrices
from tenants.models import Tenant
from vocabulary.audit import AuditKind

FIRST_EPOCH = 1
"""While a tenant has the secret of this epoch, templates that an older version stored as they were are read."""
PLAIN_BYTES = 4 * EMBEDDING_LENGTH
"""Length of such a template: 512 float32. A protected one has another length."""
SECRETS_KEPT = 256
"""Unwrapped secrets in memory, 20 KiB each."""

_EPOCH_MASK = (1 << 32) - 1

_KEYS_OF_TENANT = f"""
    SELECT epoch, master_id, wrapped, created_at FROM {TemplateKey._meta.db_table} WHERE tenant_id = %s ORDER BY epoch
"""  # noqa: S608  the name is the model's own
"""Every use makes this query, so Django does not write it anew."""
_HOLD = f"""
    SELECT 1 FROM {TemplateKey._meta.db_table} WHERE tenant_id = %s AND epoch = %s AND retired_at IS NULL FOR SHARE
"""  # noqa: S608  likewise
"""Django has no lock that many may hold."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One secret as the database has it."""

    epoch: int
    master_id: str
    wrapped: bytes
    created_at: object

    @property
    def id(self) -> int:
        """The epoch, below the digest of the time at which the secret was made: after a restored backup another secret
        may have the epoch of one that was lost."""
        digest = blake2b(str(self.created_at).encode(), digest_size=4).digest()
        return (int.from_bytes(digest) >> 1) << 32 | self.epoch


class TenantSecret:
    """What one secret is used for: each purpose has a key of its own. No other secret has its `id`."""

    def __init__(self, epoch: int, id: int, secret: bytes) -> None:
        self.epoch = epoch
        self.id = id
        self.templates = AESGCM(derive(secret, "templates at rest"))
        self.sealed = AESGCM(derive(secret, "sealed content"))
        self.rotation = Rotation(derive(secret, "rotation"))


class TenantSecrets:
    """Secrets of every tenant, as the database has them at the time of the call.

    Only unwrapping is saved by what is kept in memory: a key of the cache is the wrapped secret that was just read.
    """

    def __init__(self, master_keys: MasterKeys) -> None:
        self._master_keys = master_keys
        self._kept: OrderedDict[tuple[int, int, bytes], TenantSecret] = OrderedDict()
        self._lock = threading.Lock()

    def newest(self, tenant: Tenant) -> TenantSecret:
        """The secret to protect with; a tenant's first one is made here."""
        rows = _rows(tenant)
        if not rows:
            try:
                self._make_first(tenant)
            except Tenant.DoesNotExist:
                raise KeysUnavailable(f"tenant {tenant.name} was deleted") from None
            rows = _rows(tenant)
        return self._unwrapped(tenant, rows[max(rows)])

    def hold_newest(self, tenant: Tenant) -> TenantSecret:
        """Keep the newest secret from being retired until the caller's transaction, if there is one, ends; returns it.

        Those who protect with it do not wait for each other. SQLite lets one transaction write at a time anyway.
        """
        while True:
            secret = self.newest(tenant)
            if not (connection.in_atomic_block and connection.features.has_select_for_update):
                return secret
            with connection.cursor() as cursor:
                cursor.execute(_HOLD, (tenant.pk, secret.epoch))
                if cursor.fetchone() is not None:
                    return secret

    def of_epoch(self, tenant: Tenant, epoch: int) -> TenantSecret:
        """Raises SecretGone, and KeysUnavailable when no master key unwraps it."""
        rows = _rows(tenant)
        if epoch not in rows:
            self._forget(tenant, rows)
            raise SecretGone(f"the secret of epoch {epoch} of tenant {tenant.name} was deleted")
        return self._unwrapped(tenant, rows[epoch])

    def of_id(self, tenant: Tenant, id: int) -> TenantSecret:
        """Raises as `of_epoch`."""
        found = self.of_epoch(tenant, id & _EPOCH_MASK)
        if found.id != id:
            raise SecretGone(f"the secret of epoch {found.epoch} of tenant {tenant.name} was replaced by another one")
        return found

    def has(self, tenant: Tenant, epoch: int) -> bool:
        return epoch in _rows(tenant)

    def has_id(self, tenant: Tenant, id: int) -> bool:
        return any(row.id == id for row in _rows(tenant).values())

    def add_epoch(self, tenant: Tenant) -> int:
        """Make the secret of a new epoch, in the caller's transaction, which holds the tenant's lock."""
        epoch = max(_rows(tenant), default=0) + 1
        self._store(tenant, epoch)
        return epoch

    def rewrap(self, tenant: Tenant | None = None) -> int:
        """Wrap by the newest master key what older ones wrapped, of one tenant or of all. Returns the number of
        secrets. Safe to repeat."""
        done = 0
        for row in self.wrapped_by_older(tenant).select_related("tenant"):
            bound_to = _bound_to(row.tenant, row.epoch)
            secret = self._unwrap(row.tenant, row.epoch, row.master_id, bytes(row.wrapped))
            done += self._store_wrapped(row, self._master_keys.newest.wrap(secret, bound_to))
        return done

    def wrapped_by_older(self, tenant: Tenant | None = None) -> QuerySet[TemplateKey]:
        """The secrets that `rewrap` would wrap."""
        rows = TemplateKey.across_tenants.all() if tenant is None else TemplateKey.objects.filter(tenant=tenant)
        return rows.exclude(master_id=self._master_keys.newest.id)

    def _store_wrapped(self, row: TemplateKey, wrapped: bytes) -> int:
        master_id = self._master_keys.newest.id
        with transaction.atomic():
            stored = TemplateKey.objects.filter(tenant=row.tenant, pk=row.pk)
            done = stored.update(master_id=master_id, wrapped=wrapped)
            if done:
                details: dict[str, Detail] = {"epoch": row.epoch, "master_key": master_id}
                record(row.tenant.pk, Event(AuditKind.TEMPLATE_KEY_WRAPPED, None, details))
        return done

    def check_all(self) -> None:
        """Raises MasterKeyError unless a master key of each secret in the database is here and unwraps it.

        Of each master key one secret is unwrapped.
        """
        for master_id in TemplateKey.across_tenants.values_list("master_id", flat=True).distinct():
            row = TemplateKey.across_tenants.select_related("tenant").filter(master_id=master_id).first()
            if row is not None:
                with _as_fault_of_start():
                    self._unwrap(row.tenant, row.epoch, row.master_id, bytes(row.wrapped))

    def forget_deleted(self) -> None:
        """Drop from memory what is no longer in the database."""
        held = {key[0] for key in list(self._kept)}
        for tenant in Tenant.objects.filter(pk__in=held):
            self._forget(tenant, _rows(tenant))
            held.discard(tenant.pk)
        for pk in held:
            self._forget(Tenant(pk=pk), {})

    def _make_first(self, tenant: Tenant) -> None:
        """Raises SecretGone when there are templates of a secret that is gone: a new one would not read them."""
        with transaction.atomic():
            tenant.lock()
            if _rows(tenant):
                return
            protected = Template.objects.annotate(size=Length("vector")).filter(~Q(size=PLAIN_BYTES), tenant=tenant)
            if protected.exists():
                raise SecretGone(
                    f"the secrets of tenant {tenant.name} were deleted: its templates cannot be read; delete its people"
                )
            self._store(tenant, FIRST_EPOCH)

    def _store(self, tenant: Tenant, epoch: int) -> None:
        newest = self._master_keys.newest
        wrapped = newest.wrap(os.urandom(KEY_BYTES), _bound_to(tenant, epoch))
        TemplateKey.objects.create(tenant=tenant, epoch=epoch, master_id=newest.id, wrapped=wrapped)

    def _unwrapped(self, tenant: Tenant, row: _Row) -> TenantSecret:
        key = (tenant.pk, row.epoch, row.wrapped)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        secret = TenantSecret(row.epoch, row.id, self._unwrap(tenant, row.epoch, row.master_id, row.wrapped))
        with self._lock:
            self._kept[key] = secret
            while len(self._kept) > SECRETS_KEPT:
                self._kept.popitem(last=False)
        return secret

    def _unwrap(self, tenant: Tenant, epoch: int, master_id: str, wrapped: bytes) -> bytes:
        master_key = self._master_keys.by_id.get(master_id)
        if master_key is None:
            raise KeysUnavailable(
                f"the secret of tenant {tenant.name} was wrapped by the master key {master_id}, and there are only "
                f"{', '.join(self._master_keys.by_id)}: give that key, too, in FACE_TEMPLATE_KEY, or if it was derived "
                "from FACE_SECRET_KEY, give that back"
            )
        secret = master_key.unwrap(wrapped, _bound_to(tenant, epoch))
        if secret is None:
            raise KeysUnavailable(f"the wrapped secret of epoch {epoch} of tenant {tenant.name} was changed")
        return secret

    def _forget(self, tenant: Tenant, rows: Mapping[int, _Row]) -> None:
        there = {(tenant.pk, row.epoch, row.wrapped) for row in rows.values()}
        with self._lock:
            gone = [key for key in self._kept if key[0] == tenant.pk and key not in there]
            for key in gone:
                del self._kept[key]
        if gone:
            forget_matrices()


def _rows(tenant: Tenant) -> dict[int, _Row]:
    """Wrapped secrets by epoch, oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_KEYS_OF_TENANT, (tenant.pk,))
        found = cursor.fetchall()
    return {epoch: _Row(epoch, master_id, bytes(wrapped), made) for epoch, master_id, wrapped, made in found}


def _bound_to(tenant: Tenant, epoch: int) -> bytes:
    return f"secret of tenant {tenant.pk}, epoch {epoch}".encode()


@contextmanager
def _as_fault_of_start() -> Iterator[None]:
    try:
        yield
    except KeysUnavailable as error:
        raise MasterKeyError(str(error)) from error

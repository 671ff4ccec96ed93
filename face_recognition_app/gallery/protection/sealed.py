"""Templates turned by the tenant's secret and encrypted with AES-256-GCM."""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.types import EMBEDDING_LENGTH, Embedding, Embeddings
from gallery.protection import Protected
from gallery.protection.errors import Tampered
from gallery.protection.master_keys import NONCE_BYTES
from gallery.protection.tenant_secrets import FIRST_EPOCH, PLAIN_BYTES, TenantSecret, TenantSecrets
from tenants.models import Tenant

_HEADER: Final = struct.Struct("<BI")
HEADER_BYTES: Final = _HEADER.size
_FORM: Final = 2
_NUMBERS: Final = {1: "<f2", _FORM: "<f4"}
"""How templates of each form are written; the first is that of an older version."""
_CIPHERTEXT: Final = HEADER_BYTES + NONCE_BYTES
_CHANGED: Final = "what is stored was changed, or belongs to another tenant, model or place"


def header(epoch: int) -> bytes:
    """The first bytes of everything protected in the epoch: a byte for the form, four for the epoch."""
    return _HEADER.pack(_FORM, epoch)


class SealedProtection:
    """Stores header, nonce, and the encrypted float32 of the turned embedding: 2,081 bytes.

    What is encrypted is bound to the header, the tenant and the model. Implements TemplateProtection.
    """

    def __init__(self, model_id: str, secrets: TenantSecrets) -> None:
        self._model_id = model_id
        self.secrets = secrets

    def of_model(self, model_id: str) -> SealedProtection:
        return SealedProtection(model_id, self.secrets)

    def check(self) -> None:
        self.secrets.check_all()

    def forget_deleted(self) -> None:
        self.secrets.forget_deleted()

    def protect(self, embeddings: Sequence[Embedding] | Embeddings, tenant: Tenant) -> list[Protected]:
        if not len(embeddings):
            return []
        secret, bound_to = self.secrets.hold_newest(tenant), self._bound_to(tenant)
        turned = secret.rotation.turn(np.asarray(embeddings, np.float32)).astype(_NUMBERS[_FORM])
        return [Protected(_encrypt(secret.templates, secret.epoch, one.tobytes(), bound_to)) for one in turned]

    def restore(self, stored: Sequence[Protected], tenant: Tenant) -> Embeddings:
        found = np.empty((len(stored), EMBEDDING_LENGTH), np.float32)
        for secret, rows, kept in self._decrypted(stored, tenant):
            found[rows] = _turned_back(kept, secret)
        return found

    def restore_turned(self, stored: Sequence[Protected], tenant: Tenant, epoch: int) -> Embeddings:
        found = np.empty((len(stored), EMBEDDING_LENGTH), np.float32)
        for secret, rows, kept in self._decrypted(stored, tenant):
            is_turned = secret is not None and secret.id == epoch
            turned = kept if is_turned else self.turn(_turned_back(kept, secret), tenant, epoch)
            if len(rows) == len(stored):  # Nearly always: an index is made without copying them all.
                return turned
            found[rows] = turned
        return found

    def epoch(self, tenant: Tenant) -> int:
        return self.secrets.newest(tenant).id

    def knows(self, tenant: Tenant, epoch: int) -> bool:
        return self.secrets.has_id(tenant, epoch)

    def turn(self, embeddings: Embeddings, tenant: Tenant, epoch: int) -> Embeddings:
        return self.secrets.of_id(tenant, epoch).rotation.turn(embeddings)

    def seal(self, content: bytes, tenant: Tenant, place: str) -> bytes:
        secret = self.secrets.newest(tenant)
        return _encrypt(secret.sealed, secret.epoch, content, _place(tenant, place))

    def unseal(self, sealed: bytes, tenant: Tenant, place: str) -> bytes:
        secret = self.secrets.of_epoch(tenant, _epoch_of(sealed))
        return _decrypt(secret.sealed, sealed, _place(tenant, place))

    def _decrypted(
        self, stored: Sequence[Protected], tenant: Tenant
    ) -> Iterator[tuple[TenantSecret | None, list[int], Embeddings]]:
        """The secrets with which `stored` was turned and encrypted, None for what was neither, and of each the rows and
        the content."""
        by_header: dict[bytes | None, list[int]] = defaultdict(list)
        for row, one in enumerate(stored):
            by_header[None if len(one) == PLAIN_BYTES else one[:HEADER_BYTES]].append(row)
        for head, rows in by_header.items():
            if head is None:
                self._check_first(tenant)
                yield None, rows, np.stack([np.frombuffer(stored[row], "<f4") for row in rows])
            else:
                secret = self.secrets.of_epoch(tenant, _epoch_of(head))
                yield secret, rows, _decrypt_all(secret, head, [stored[row] for row in rows], self._bound_to(tenant))

    def _check_first(self, tenant: Tenant) -> None:
        """Raises Tampered unless the tenant still has its first secret, or none yet."""
        secret = self.secrets.newest(tenant)
        if secret.epoch != FIRST_EPOCH and not self.secrets.has(tenant, FIRST_EPOCH):
            raise Tampered(f"a template of tenant {tenant.name} is not protected, although all of them were")

    def _bound_to(self, tenant: Tenant) -> bytes:
        return f"template of tenant {tenant.pk}, model {self._model_id}".encode()


def _epoch_of(stored: bytes) -> int:
    """The epoch that a header names. Raises Tampered for other bytes."""
    if len(stored) < HEADER_BYTES:
        raise Tampered(f"{len(stored)} bytes are stored where more were written")
    form, epoch = _HEADER.unpack_from(stored)
    if form not in _NUMBERS or epoch < FIRST_EPOCH:
        raise Tampered(f"form {form} of what is stored is unknown")
    return int(epoch)


def _decrypt_all(secret: TenantSecret, head: bytes, stored: Sequence[bytes], bound_to: bytes) -> Embeddings:
    """Decrypt templates with the same header straight into an array, (n, 512): an index is made of very many."""
    numbers = np.empty((len(stored), EMBEDDING_LENGTH), _NUMBERS[head[0]])
    decrypt_into, bound_to = secret.templates.decrypt_into, head + bound_to
    try:
        for one, row in zip(stored, numbers.view("u1"), strict=True):
            parts = memoryview(one)
            decrypt_into(parts[HEADER_BYTES:_CIPHERTEXT], parts[_CIPHERTEXT:], bound_to, row.data)
    except (InvalidTag, ValueError):
        raise Tampered(_CHANGED) from None
    return numbers.astype(np.float32, copy=False)


def _turned_back(kept: Embeddings, secret: TenantSecret | None) -> Embeddings:
    return kept if secret is None else secret.rotation.turn_back(kept)


def _encrypt(cipher: AESGCM, epoch: int, content: bytes, bound_to: bytes) -> bytes:
    head, nonce = header(epoch), os.urandom(NONCE_BYTES)
    return head + nonce + cipher.encrypt(nonce, content, head + bound_to)


def _decrypt(cipher: AESGCM, stored: bytes, bound_to: bytes) -> bytes:
    head, nonce = stored[:HEADER_BYTES], stored[HEADER_BYTES:_CIPHERTEXT]
    try:
        return cipher.decrypt(nonce, stored[_CIPHERTEXT:], head + bound_to)
    except (InvalidTag, ValueError):
        raise Tampered(_CHANGED) from None


def _place(tenant: Tenant, place: str) -> bytes:
    return f"{place} of tenant {tenant.pk}".encode()

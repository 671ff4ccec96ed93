"""Templates turned by the tenant's secret and encrypted with AES-256-GCM."""

from __future__ import annotations

import os
import struct
from collections import defaultdict
from collections.abc import Sequence
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
_FORM: Final = 1
_TAG_BYTES: Final = 16
PROTECTED_BYTES: Final = HEADER_BYTES + NONCE_BYTES + 2 * EMBEDDING_LENGTH + _TAG_BYTES


def header(epoch: int) -> bytes:
    """The first bytes of everything protected in the epoch: a byte for the form, four for the epoch."""
    return _HEADER.pack(_FORM, epoch)


class SealedProtection:
    """Stores header, nonce, and the encrypted float16 of the turned embedding: 1,057 bytes.

    What is encrypted is bound to the header, the tenant and the model. Implements TemplateProtection.
    """

    def __init__(self, model_id: str, secrets: TenantSecrets) -> None:
        self._model_id = model_id
        self.secrets = secrets

    def check(self) -> None:
        self.secrets.check_all()

    def forget_deleted(self) -> None:
        self.secrets.forget_deleted()

    def protect(self, embedding: Embedding, tenant: Tenant) -> Protected:
        secret = self.secrets.hold_newest(tenant)
        turned = _rounded(secret.rotation.turn(embedding[np.newaxis])).tobytes()
        return Protected(_encrypt(secret.templates, secret.epoch, turned, self._bound_to(tenant)))

    def restore(self, stored: Sequence[Protected], tenant: Tenant) -> Embeddings:
        by_epoch: dict[int, list[int]] = defaultdict(list)
        for row, one in enumerate(stored):
            by_epoch[_epoch_of(one, PROTECTED_BYTES)].append(row)
        found = np.empty((len(stored), EMBEDDING_LENGTH), np.float32)
        for epoch, rows in by_epoch.items():
            found[rows] = self._restored(epoch, [stored[row] for row in rows], tenant)
        return found

    def epoch(self, tenant: Tenant) -> int:
        return self.secrets.newest(tenant).epoch

    def knows(self, tenant: Tenant, epoch: int) -> bool:
        return self.secrets.has(tenant, epoch)

    def turn(self, embeddings: Embeddings, tenant: Tenant, epoch: int) -> Embeddings:
        return self.secrets.of_epoch(tenant, epoch).rotation.turn(embeddings)

    def seal(self, content: bytes, tenant: Tenant, place: str) -> bytes:
        secret = self.secrets.newest(tenant)
        return _encrypt(secret.sealed, secret.epoch, content, _place(tenant, place))

    def unseal(self, sealed: bytes, tenant: Tenant, place: str) -> bytes:
        secret = self.secrets.of_epoch(tenant, _epoch_of(sealed, None))
        return _decrypt(secret.sealed, sealed, _place(tenant, place))

    def _restored(self, epoch: int, stored: Sequence[Protected], tenant: Tenant) -> Embeddings:
        if epoch == _PLAIN:
            return _read_plain(stored, self._first_secret(tenant))
        secret, bound_to = self.secrets.of_epoch(tenant, epoch), self._bound_to(tenant)
        turned = b"".join(_decrypt(secret.templates, one, bound_to) for one in stored)
        return secret.rotation.turn_back(_rows_of(turned, "<f2"))

    def _first_secret(self, tenant: Tenant) -> TenantSecret:
        """The tenant's newest secret, as long as it still has its first one."""
        secret = self.secrets.newest(tenant)
        if secret.epoch != FIRST_EPOCH and not self.secrets.has(tenant, FIRST_EPOCH):
            raise Tampered(f"a template of tenant {tenant.name} is not protected, although all of them were")
        return secret

    def _bound_to(self, tenant: Tenant) -> bytes:
        return f"template of tenant {tenant.pk}, model {self._model_id}".encode()


_PLAIN: Final = 0
"""Stands for the epoch of a template that an older version stored as it was: 512 float32."""


def _epoch_of(stored: bytes, length: int | None) -> int:
    """The epoch that a header names. Raises Tampered for other bytes, and unless they have the given length."""
    if length is not None and len(stored) == PLAIN_BYTES:
        return _PLAIN
    if len(stored) < HEADER_BYTES or (length is not None and len(stored) != length):
        raise Tampered(f"{len(stored)} bytes are stored where {length or 'more'} were written")
    form, epoch = _HEADER.unpack_from(stored)
    if form != _FORM or epoch == _PLAIN:
        raise Tampered(f"form {form} of what is stored is unknown")
    return int(epoch)


def _read_plain(stored: Sequence[bytes], secret: TenantSecret) -> Embeddings:
    """Round as `protect` does, so that protecting the template does not change what it is compared as."""
    embeddings = _rows_of(b"".join(stored), "<f4")
    return secret.rotation.turn_back(_rounded(secret.rotation.turn(embeddings)).astype(np.float32))


def _rows_of(joined: bytes, kind: str) -> Embeddings:
    return np.frombuffer(joined, kind).astype(np.float32).reshape(-1, EMBEDDING_LENGTH)


def _rounded(turned: Embeddings) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
    return turned.astype("<f2")


def _encrypt(cipher: AESGCM, epoch: int, content: bytes, bound_to: bytes) -> bytes:
    head, nonce = header(epoch), os.urandom(NONCE_BYTES)
    return head + nonce + cipher.encrypt(nonce, content, head + bound_to)


def _decrypt(cipher: AESGCM, stored: bytes, bound_to: bytes) -> bytes:
    head, nonce = stored[:HEADER_BYTES], stored[HEADER_BYTES : HEADER_BYTES + NONCE_BYTES]
    try:
        return cipher.decrypt(nonce, stored[HEADER_BYTES + NONCE_BYTES :], head + bound_to)
    except (InvalidTag, ValueError):
        raise Tampered("what is stored was changed, or belongs to another tenant, model or place") from None


def _place(tenant: Tenant, place: str) -> bytes:
    return f"{place} of tenant {tenant.pk}".encode()

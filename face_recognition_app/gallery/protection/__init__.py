"""Protection of embeddings at rest (ISO/IEC 24745); everything that stores one goes through it.

`sealed.py` implements the interface below, with secrets of `tenant_secrets.py`, which `master_keys.py` wraps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NewType, Protocol

from core.types import Embedding, Embeddings
from tenants.models import Tenant

Protected = NewType("Protected", bytes)
"""Stored form of an embedding. Only a TemplateProtection makes it, so that no embedding is stored by mistake."""


class TemplateProtection(Protocol):
    """Converts an embedding to its stored form, per tenant, and back to a comparable one.

    An index holds and compares embeddings turned by a tenant's secret, which keeps their cosines. Its `epoch` is the id
    of that secret: what was turned in one epoch compares with what was turned in the same epoch only.

    Every method asks the database for the tenant's secrets: a deleted one is unusable in every process from the commit
    on. Every method raises KeysUnavailable when a secret is gone or cannot be unwrapped.
    """

    def of_model(self, model_id: str) -> TemplateProtection:
        """The protection of another model's templates, with the same secrets."""
        ...

    def check(self) -> None:
        """Raises MasterKeyError when a master key is missing that secrets in the database were wrapped with."""
        ...

    def forget_deleted(self) -> None:
        """Drop secrets from memory that are no longer in the database."""
        ...

    def protect(self, embeddings: Sequence[Embedding] | Embeddings, tenant: Tenant) -> list[Protected]:
        """Return the stored form of each, to be stored in the same transaction, which no rotation of secrets
        overtakes."""
        ...

    def restore(self, stored: Sequence[Protected], tenant: Tenant) -> Embeddings:
        """Raises Tampered when one of `stored` was not made by this protection for this tenant."""
        ...

    def restore_turned(self, stored: Sequence[Protected], tenant: Tenant, epoch: int) -> Embeddings:
        """Do as `turn` with what `restore` returns, for a fraction of the time where `stored` is of this epoch."""
        ...

    def epoch(self, tenant: Tenant) -> int:
        """The epoch in which a new index is made."""
        ...

    def knows(self, tenant: Tenant, epoch: int) -> bool:
        """Whether the secret of this epoch is still there."""
        ...

    def turn(self, embeddings: Embeddings, tenant: Tenant, epoch: int) -> Embeddings:
        """Turn embeddings, (n, 512), into the form that an index of this epoch holds and compares."""
        ...

    def seal(self, content: bytes, tenant: Tenant, place: str) -> bytes:
        """Encrypt what is stored in `place`, a name without which `unseal` refuses it."""
        ...

    def unseal(self, sealed: bytes, tenant: Tenant, place: str) -> bytes:
        """Raises Tampered when `sealed` was not made by `seal` for this tenant and place."""
        ...

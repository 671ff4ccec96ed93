"""Conversion of embeddings to their stored form and back; all storage goes through it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NewType, Protocol

import numpy as np

from core.types import EMBEDDING_LENGTH, Embedding, Embeddings
from tenants.models import Tenant

Protected = NewType("Protected", bytes)
"""Stored form of an embedding. Only a TemplateProtection makes it, so that no embedding is stored by mistake."""


class TemplateProtection(Protocol):
    """Converts an embedding to its stored form, per tenant, and back to a comparable one.

    An index holds and compares embeddings turned by a tenant's secret, which keeps their cosines. `epoch` numbers a
    tenant's secrets: what was turned in one epoch compares with what was turned in the same epoch only.
    """

    def protect(self, embedding: Embedding, tenant: Tenant) -> Protected: ...

    def restore(self, stored: Sequence[Protected], tenant: Tenant) -> Embeddings:
        """Raises ValueError when one of `stored` was not made by this protection."""
        ...

    def epoch(self, tenant: Tenant) -> int:
        """The epoch in which a new index is made."""
        ...

    def turn(self, embeddings: Embeddings, tenant: Tenant, epoch: int) -> Embeddings:
        """Turn embeddings, (n, dimension), into the form that an index of this epoch holds and compares."""
        ...


class PlainProtection:
    """Stores the embedding as it is: 512 little-endian float32, 2,048 bytes."""

    DIMENSION = EMBEDDING_LENGTH

    def protect(self, embedding: Embedding, tenant: Tenant) -> Protected:
        return Protected(embedding.astype("<f4").tobytes())

    def restore(self, stored: Sequence[Protected], tenant: Tenant) -> Embeddings:
        if any(len(one) != 4 * self.DIMENSION for one in stored):
            raise ValueError(f"a stored template has not {4 * self.DIMENSION} bytes")
        return np.frombuffer(b"".join(stored), "<f4").astype(np.float32).reshape(len(stored), self.DIMENSION)

    def epoch(self, tenant: Tenant) -> int:
        return 0

    def turn(self, embeddings: Embeddings, tenant: Tenant, epoch: int) -> Embeddings:
        return embeddings

"""The one seam through which an embedding goes into storage and comes back."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from core.types import Embedding
from tenants.models import Tenant


class TemplateProtection(Protocol):
    """Turns an embedding into what is stored of it, per tenant, and back into what can be compared."""

    def protect(self, embedding: Embedding, tenant: Tenant) -> bytes: ...

    def restore(self, stored: bytes, tenant: Tenant) -> Embedding: ...


class PlainProtection:
    """Stores the embedding as it is: 512 little-endian float32, 2,048 bytes."""

    def protect(self, embedding: Embedding, tenant: Tenant) -> bytes:
        return embedding.astype("<f4").tobytes()

    def restore(self, stored: bytes, tenant: Tenant) -> Embedding:
        return np.frombuffer(stored, "<f4").astype(np.float32)


protection: TemplateProtection = PlainProtection()

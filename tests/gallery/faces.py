"""Random embeddings, which the gallery treats like real ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from core.types import Embedding
from gallery.matching import Gallery
from gallery.people import EnrollmentRules, Sample
from gallery.protection.sealed import SealedProtection
from gallery.protection.tenant_secrets import TenantSecrets
from gallery.stores.base import Candidate
from tenants.models import Tenant
from tests.enrolling import enroll

DIMENSION = 512
RULES = EnrollmentRules(duplicate_check=True, target_fpir=1e-3, target_fmr=1e-4)


def face(seed: int) -> Embedding:
    """The embedding of person `seed`; those of two persons are nearly orthogonal."""
    return unit(np.random.default_rng(seed).standard_normal(DIMENSION))


def picture(person: Embedding, cosine: float, seed: int = 0) -> Embedding:
    """An embedding whose similarity to `person` is `cosine`."""
    anybody = np.random.default_rng(1_000_000 + seed).standard_normal(DIMENSION)
    away = unit(anybody - (anybody @ person) * person)
    return unit(cosine * person + np.sqrt(1 - cosine**2) * away)


def samples(*embeddings: Embedding) -> list[Sample]:
    return [Sample(embedding, 0.9) for embedding in embeddings]


def enrol(tenant: Tenant, subject_id: str, *embeddings: Embedding, gallery: Gallery) -> None:
    enroll(tenant, subject_id, samples(*embeddings), gallery, RULES)


def search(gallery: Gallery, tenant: Tenant, probe: Embedding, limit: int) -> list[Candidate]:
    return list(gallery.store.search(tenant, [probe], limit).candidates)


def size(gallery: Gallery, tenant: Tenant) -> int:
    return gallery.store.search(tenant, [face(0)], 1).templates


def unit(vector: npt.NDArray[Any]) -> Embedding:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def secrets_of(gallery: Gallery) -> TenantSecrets:
    assert isinstance(gallery.protection, SealedProtection)
    return gallery.protection.secrets

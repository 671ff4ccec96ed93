"""What a store must find: the comparison of a probe with every template of the database."""

from __future__ import annotations

import numpy as np
import pytest

from core.types import Embedding
from gallery.matching import Gallery
from gallery.models import Template
from gallery.protection import Protected
from gallery.stores.base import Candidate
from tenants.models import Tenant
from tests.gallery.faces import search


def truth(gallery: Gallery, tenant: Tenant, probe: Embedding) -> list[Candidate]:
    """Every subject with the similarity of its best template."""
    best: dict[str, float] = {}
    rows = Template.objects.filter(tenant=tenant, model_id=gallery.model_id)
    for name, vector in rows.values_list("subject__subject_id", "vector"):
        (kept,) = gallery.protection.restore([Protected(bytes(vector))], tenant)
        similarity = float(kept.astype(np.float64) @ probe)
        best[name] = max(similarity, best.get(name, similarity))
    return sorted((Candidate(*found) for found in best.items()), key=lambda candidate: -candidate.similarity)


def assert_finds_the_truth(gallery: Gallery, tenant: Tenant, probe: Embedding, limit: int = 10) -> None:
    expected = truth(gallery, tenant, probe)[:limit]
    found = search(gallery, tenant, probe, limit)
    assert [one.subject_id for one in found] == [one.subject_id for one in expected]
    assert [one.similarity for one in found] == pytest.approx([one.similarity for one in expected], abs=1e-6)

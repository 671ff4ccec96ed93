"""What a store must find: the comparison of a probe with every template of the database."""

from __future__ import annotations

import numpy as np
import pytest

from core.types import Embedding
from gallery.matching import Gallery
from gallery.models import Template
from gallery.protection import Protected
from gallery.stores.base import Candidate
from gallery.stores.usearch import UsearchStore
from tenants.models import Tenant
from tests.gallery.faces import search

ALIKE = 0.35
"""More than strangers are, and less than the pictures of one person in these tests."""


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
    """Both the best alone and the `limit` best, which are two ways through a store that searches by signs."""
    everybody = truth(gallery, tenant, probe)
    for number in {1, limit}:
        found = search(gallery, tenant, probe, number)
        expected = everybody[:number]
        if isinstance(gallery.store, UsearchStore):
            assert len(found) == len(expected)
            expected = [one for one in expected if one.similarity > ALIKE]
            found = found[: len(expected)]  # Of strangers it finds any.
        assert [one.subject_id for one in found] == [one.subject_id for one in expected]
        assert [one.similarity for one in found] == pytest.approx([one.similarity for one in expected], abs=1e-6)

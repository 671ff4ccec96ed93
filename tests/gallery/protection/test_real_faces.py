"""Real faces are told apart as well as before, and not across tenants."""

from __future__ import annotations

import numpy as np
import pytest

from bench.verification.accuracy import read_pairs
from core.types import Embedding, Embeddings
from gallery.protection import TemplateProtection
from recognition.worker import Worker
from tenants.models import Tenant
from tests.conftest import data_file, needs_shared_data
from tests.gallery.protection.linking import area_under_curve, assert_unlinkable

PEOPLE = 40


@pytest.fixture(scope="module")
def pairs(worker: Worker) -> tuple[Embeddings, Embeddings]:
    """Two pictures of each of 40 people of LFW."""

    def embed(name: str) -> Embedding | None:
        view = worker.engine.analyse_still((data_file("lfw") / "images" / name).read_bytes(), worker.limits)
        return worker.engine.embed(view) if view.faces else None

    mated = [pair for pair in read_pairs(data_file("lfw") / "pairs.csv") if pair.same]
    once = {pair.left.split("/")[0]: pair for pair in mated}
    chosen = [(embed(pair.left), embed(pair.right)) for pair in list(once.values())[:PEOPLE]]
    found = [(left, right) for left, right in chosen if left is not None and right is not None]
    return np.stack([left for left, _ in found]), np.stack([right for _, right in found])


@pytest.fixture
def protection(worker: Worker) -> TemplateProtection:
    return worker.deciding.gallery.protection


@needs_shared_data
def test_similarities_of_real_faces_are_what_they_were(
    tenant: Tenant, protection: TemplateProtection, pairs: tuple[Embeddings, Embeddings]
) -> None:
    left, right = pairs
    restored = protection.restore(protection.protect(left, tenant), tenant)
    assert restored @ right.T == pytest.approx(left @ right.T, abs=1e-6)
    epoch = protection.epoch(tenant)
    turned = protection.turn(left, tenant, epoch) @ protection.turn(right, tenant, epoch).T
    assert turned == pytest.approx(left @ right.T, abs=1e-6)


@needs_shared_data
def test_real_faces_cannot_be_linked_between_tenants(
    tenant: Tenant, other_tenant: Tenant, protection: TemplateProtection, pairs: tuple[Embeddings, Embeddings]
) -> None:
    assert area_under_curve(*pairs) > 0.99, "unprotected, two pictures of one person are linked"
    left, right = (
        protection.turn(faces, each, protection.epoch(each))
        for faces, each in zip(pairs, (tenant, other_tenant), strict=True)
    )
    assert_unlinkable(left, right)

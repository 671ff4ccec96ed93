"""Adaptive templates follow a face, and lead to nobody else."""

from __future__ import annotations

import pytest
from django.db import transaction

from core.types import Embedding
from gallery.matching import Gallery
from gallery.models import Template, TemplateOrigin
from gallery.thresholds import threshold_for
from gallery.upkeep.adaptation import MOST_ADAPTIVE, STRICTER, adapt
from tenants.models import Tenant
from tests.gallery.faces import RULES, enrol, face, picture, unit

STRICT = threshold_for(RULES.target_fmr / STRICTER, 1)


@pytest.fixture
def following(tenant: Tenant, gallery: Gallery) -> Tenant:
    """A tenant with the policy, and alice enrolled."""
    tenant.adaptive_templates = True
    tenant.save()
    enrol(tenant, "alice", face(1), gallery=gallery)
    return tenant


def recognised(tenant: Tenant, gallery: Gallery, probe: Embedding) -> bool:
    with transaction.atomic():
        return adapt(tenant, "alice", probe, gallery, RULES) is not None


def origins() -> list[str]:
    return list(Template.across_tenants.order_by("pk").values_list("origin", flat=True))


def test_it_is_off_unless_the_tenant_asks(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    assert not recognised(tenant, gallery, picture(face(1), 0.8))
    assert origins() == ["enrolled"]


def test_only_the_oldest_adaptive_template_is_replaced(following: Tenant, gallery: Gallery) -> None:
    for seed in range(4):
        assert recognised(following, gallery, picture(face(1), 0.7, seed))
    assert origins() == ["enrolled", *["adaptive"] * MOST_ADAPTIVE]
    for seed, is_kept in ((0, False), (1, False), (2, True), (3, True)):
        found = gallery.verify(following, "alice", picture(face(1), 0.7, seed), RULES.target_fmr)
        assert found is not None
        assert (found.similarity > 0.99) is is_kept


@pytest.mark.parametrize(("similarity", "stored"), [(STRICT - 0.01, False), (STRICT + 0.01, True), (0.95, False)])
def test_a_probe_must_be_sure_and_must_add_something(
    following: Tenant, gallery: Gallery, similarity: float, stored: bool
) -> None:
    assert recognised(following, gallery, picture(face(1), similarity)) is stored


def test_steps_towards_another_person_end_at_the_enrolled_face(following: Tenant, gallery: Gallery) -> None:
    """Each step matches the last adaptive template well; all the same none is stored beyond the strict limit."""
    path = [unit((1 - share) * face(1) + share * face(2)) for share in (0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 1.0)]
    for probe in path:
        recognised(following, gallery, probe)
    adaptive = Template.across_tenants.filter(origin=TemplateOrigin.ADAPTIVE)
    assert adaptive.exists()
    vectors = gallery.protection.restore([bytes(one.vector) for one in adaptive], following)  # type: ignore[misc]
    assert float((vectors @ face(1)).min()) >= STRICT - 1e-6


def test_a_probe_that_is_near_to_somebody_else_is_not_stored(following: Tenant, gallery: Gallery) -> None:
    enrol(following, "bob", face(2), gallery=gallery)
    assert not recognised(following, gallery, unit(face(1) + 0.9 * face(2)))
    assert origins() == ["enrolled", "enrolled"]

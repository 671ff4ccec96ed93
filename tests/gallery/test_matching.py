"""Comparisons use the threshold for the number of comparisons made."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gallery.matching import Gallery
from gallery.thresholds import threshold_for
from tenants.models import Tenant
from tests.gallery.faces import enrol, face, picture

FMR, FPIR = 1e-4, 1e-3


@pytest.fixture
def known(tenant: Tenant, gallery: Gallery) -> Tenant:
    """alice with three templates, bob with one."""
    enrol(tenant, "alice", *(picture(face(1), 0.9, seed) for seed in range(3)), gallery=gallery)
    enrol(tenant, "bob", face(2), gallery=gallery)
    return tenant


@pytest.mark.parametrize("tries", [1, 8])
def test_a_subject_is_verified_against_its_own_templates(known: Tenant, gallery: Gallery, tries: int) -> None:
    found = gallery.verify(known, "alice", picture(face(1), 0.9, 1), FMR, tries)
    assert found is not None
    assert found.similarity == pytest.approx(1.0, abs=1e-6)
    assert found.threshold == threshold_for(FMR, 3 * tries)
    assert found.matches
    other = gallery.verify(known, "bob", face(1), FMR, tries)
    assert other is not None
    assert (other.threshold, other.matches) == (threshold_for(FMR, tries), False)


def test_who_has_no_template_is_not_compared(known: Tenant, gallery: Gallery) -> None:
    assert gallery.verify(known, "carol", face(1), FMR) is None
    assert gallery.verify_again(known, "carol", face(1), 0.5) is None


def test_a_second_verification_keeps_the_threshold_of_the_first(known: Tenant, gallery: Gallery) -> None:
    for threshold, matches in ((0.79, True), (0.81, False)):
        again = gallery.verify_again(known, "bob", picture(face(2), 0.8), threshold)
        assert again is not None
        assert (again.threshold, again.matches) == (threshold, matches)


def test_a_verification_reads_no_gallery(known: Tenant, other_worker: Gallery) -> None:
    with CaptureQueriesContext(connection) as queries:
        other_worker.verify(known, "alice", face(2), FMR)
    assert len(queries) == 3, "the subject's templates, the tenant's secrets, and whose embedder the gallery is of then"
    with CaptureQueriesContext(connection) as queries:
        other_worker.verify(known, "alice", face(1), FMR)
    assert len(queries) == 4, "what matches is held against the feedback on the subject"
    assert other_worker.store.statistics().templates == 0


@pytest.mark.parametrize("tries", [1, 8])
def test_an_identification_counts_every_template_of_the_gallery(known: Tenant, gallery: Gallery, tries: int) -> None:
    threshold = threshold_for(FPIR, 4 * tries)
    for cosine, matches in ((threshold + 0.01, ["bob"]), (threshold - 0.01, [])):
        found = gallery.identify(known, picture(face(2), cosine, 50), FPIR, limit=5, tries=tries)
        assert found.threshold == threshold
        assert [one.subject_id for one in found.candidates] == ["bob", "alice"]
        assert [one.subject_id for one in found.matches] == matches


def test_two_pictures_are_one_comparison(gallery: Gallery) -> None:
    threshold = threshold_for(FMR, 1)
    assert gallery.compare(face(1), picture(face(1), threshold + 0.01), FMR).matches
    assert not gallery.compare(face(1), picture(face(1), threshold - 0.01), FMR).matches

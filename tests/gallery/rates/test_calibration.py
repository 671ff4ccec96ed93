"""Searches are held to what was measured of the tenant's gallery, as long as that holds."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from core.features.embedder.false_matches import FalseMatches
from core.features.embedder.profile import PINNED
from database import clock
from gallery.matching import Gallery
from gallery.rates import calibration
from gallery.rates.calibration import Calibration, calibration_of, read, store
from gallery.rates.identification_rates import Labelled, TooFewSubjects, compare_all
from gallery.thresholds import threshold_for
from tenants.models import Tenant
from tests.gallery.faces import enrol, face, picture
from tests.gallery.workers import MODEL

FMR, FPIR = 1e-4, 1e-3


def measured(*, lower_by: float = 0.0, templates: int = 3, model_id: str = MODEL) -> Calibration:
    found = FalseMatches(PINNED.fmr, tuple(one - lower_by for one in PINNED.similarity), PINNED.tail_scale)
    return Calibration(model_id, templates, 3, 3, clock.now(), found)


@pytest.fixture
def known(tenant: Tenant, gallery: Gallery) -> Tenant:
    for seed in range(3):
        enrol(tenant, f"person-{seed}", face(seed), gallery=gallery)
    return tenant


def search_threshold(tenant: Tenant, gallery: Gallery) -> float:
    return gallery.identify(Tenant.objects.get(pk=tenant.pk), face(0), FPIR).threshold


def test_searches_and_the_duplicate_check_are_held_to_the_calibration(known: Tenant, gallery: Gallery) -> None:
    probe = picture(face(0), threshold_for(FPIR, 3) - 0.05)
    assert not gallery.duplicates(known, "new", [probe], FPIR).candidates
    store(known, measured(lower_by=0.1))
    assert search_threshold(known, gallery) == pytest.approx(threshold_for(FPIR, 3) - 0.1)
    assert gallery.duplicates(known, "new", [probe], FPIR).candidates
    store(known, None)
    assert search_threshold(known, gallery) == threshold_for(FPIR, 3)


def test_verifications_and_other_tenants_are_not(known: Tenant, other_tenant: Tenant, gallery: Gallery) -> None:
    enrol(other_tenant, "somebody", face(9), gallery=gallery)
    store(known, measured(lower_by=0.1))
    verified = gallery.verify(known, "person-0", face(0), FMR)
    assert verified is not None
    assert verified.threshold == threshold_for(FMR, 1)
    assert gallery.compare(face(0), face(1), FMR).threshold == threshold_for(FMR, 1)
    assert search_threshold(other_tenant, gallery) == threshold_for(FPIR, 1)


def test_what_was_stored_is_read_as_it_was(known: Tenant) -> None:
    store(known, measured())
    stored = calibration_of(Tenant.objects.get(pk=known.pk))
    assert stored is not None
    assert replace(stored, measured_at=None) == replace(measured(), measured_at=None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("lower_by", "used"), [(0.1, 0.0), (-0.1, 0.1)])
def test_a_gallery_that_has_grown_uses_the_higher_threshold_and_tells_it_once(
    known: Tenant, gallery: Gallery, caplog: pytest.LogCaptureFixture, lower_by: float, used: float
) -> None:
    calibration._warn.cache_clear()
    store(known, measured(lower_by=lower_by, templates=1))
    for number in (3, 4):
        enrol(known, f"person-{number}", face(number), gallery=gallery)
    with caplog.at_level(logging.WARNING, "gallery.rates.calibration"):
        found = [search_threshold(known, gallery) for _ in range(3)]
    assert found == pytest.approx([threshold_for(FPIR, 5) + used] * 3)
    told = [record.message for record in caplog.records]
    assert told == [
        "the calibration of acme holds no longer (it was measured with 1 templates): "
        "run manage.py calibrate --tenant acme"
    ]


def test_four_times_the_templates_are_not_too_many(known: Tenant, gallery: Gallery) -> None:
    enrol(known, "fourth", face(4), gallery=gallery)
    store(known, measured(lower_by=0.1, templates=1))
    assert search_threshold(known, gallery) == pytest.approx(threshold_for(FPIR, 4) - 0.1)


@pytest.mark.parametrize("lower_by", [0.1, -0.1])
def test_the_calibration_of_another_embedder_says_nothing(known: Tenant, gallery: Gallery, lower_by: float) -> None:
    store(known, measured(lower_by=lower_by, model_id="another"))
    assert search_threshold(known, gallery) == threshold_for(FPIR, 3)


def test_rates_are_those_of_comparing_each_with_each(known: Tenant, gallery: Gallery) -> None:
    enrol(known, "person-0", picture(face(0), 0.7), gallery=gallery)
    labelled = read(known, MODEL, gallery.protection)
    compared = compare_all(labelled, lambda done, total: None)
    assert (compared.templates, compared.subjects, len(compared.impostors)) == (4, 3, 5)
    order = [labelled.subjects.index(f"person-{seed}") for seed in range(3)]
    others = [
        max(
            float(labelled.vectors[row] @ labelled.vectors[other])
            for other in range(4)
            if _differ(labelled, row, other)
        )
        for row in range(4)
    ]
    assert compared.best_other == pytest.approx(others, abs=1e-6)
    assert np.isneginf(compared.best_own[order[1:]]).all(), "they have one template"
    for threshold, missed in ((0.69, 0), (0.71, 2)):
        assert (compared.fnir(threshold).errors, compared.fnir(threshold).tries) == (missed, 2)
    assert compared.fpir(max(others) - 0.01).errors >= 1
    assert (compared.fpir(max(others) + 0.01).errors, compared.fpir(0.0).tries) == (0, 4)


def test_who_resembles_somebody_else_more_is_not_found() -> None:
    mine, other = face(1), face(2)
    labelled = Labelled(np.stack([mine, picture(mine, 0.5), picture(mine, 0.9, 1), other]), ["a", "a", "b", "b"])
    assert compare_all(labelled, lambda done, total: None).fnir(0.4).errors >= 1


def test_of_few_people_nothing_is_measured(known: Tenant, gallery: Gallery) -> None:
    with pytest.raises(TooFewSubjects, match="200 people or more, and there are 3"):
        compare_all(read(known, MODEL, gallery.protection), lambda done, total: None).measure(PINNED.tail_shape)


def test_a_large_gallery_is_measured_on_whole_subjects(
    known: Tenant, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(known, "person-0", picture(face(0), 0.7), gallery=gallery)
    monkeypatch.setattr("gallery.rates.calibration.MOST_TEMPLATES", 3)
    monkeypatch.setattr("gallery.rates.calibration.PAGE", 1)
    subjects = list(read(known, MODEL, gallery.protection).subjects)
    assert 1 <= len(subjects) <= 3
    assert subjects.count("person-0") in (0, 2)


def _differ(labelled: Labelled, one: int, other: int) -> bool:
    return labelled.subjects[one] != labelled.subjects[other]

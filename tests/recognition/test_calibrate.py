"""An operator calibrates the searches of a tenant by its own templates, or by pictures."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from gallery.models import Subject, Template
from gallery.rates.calibration import calibration_of, store
from gallery.thresholds import threshold_for
from recognition.worker import Worker
from tenants.models import Tenant
from testkit.clips import SHARED_DATA
from tests.gallery.faces import face, picture

PEOPLE = 250
TWICE = 40
"""People with a second template."""


@pytest.fixture
def acme(worker: Worker, transactional_db: None) -> Tenant:
    return Tenant.objects.create(name="acme")


@pytest.fixture
def crowd(acme: Tenant, worker: Worker) -> Tenant:
    """People who resemble each other far less than faces do."""
    subjects = Subject.objects.bulk_create(Subject(tenant=acme, subject_id=f"p{n}") for n in range(PEOPLE))
    faces = [*map(face, range(PEOPLE)), *(picture(face(n), 0.6, n) for n in range(TWICE))]
    vectors = worker.deciding.gallery.protection.protect(faces, acme)
    Template.objects.bulk_create(
        Template(
            tenant=acme,
            subject=subject,
            model_id=worker.deciding.gallery.model_id,
            vector=vector,
            quality=1.0,
        )
        for subject, vector in zip([*subjects, *subjects[:TWICE]], vectors, strict=True)
    )
    return acme


def calibrate(*arguments: str) -> str:
    out = StringIO()
    call_command("calibrate", *arguments, stdout=out)
    return out.getvalue()


def threshold(tenant: Tenant, worker: Worker) -> float:
    current = Tenant.objects.get(pk=tenant.pk)
    return worker.deciding.gallery.identify(current, face(0), 1e-3).threshold


def test_a_tenant_is_calibrated_by_its_own_templates(crowd: Tenant, worker: Worker) -> None:
    shipped = threshold(crowd, worker)
    assert shipped == threshold_for(1e-3, PEOPLE + TWICE)
    told = calibrate("--tenant", "acme", "--dry-run")
    assert threshold(crowd, worker) == shipped, "a dry run stores nothing"
    assert f"{PEOPLE + TWICE} templates of {PEOPLE} people" in told
    told = calibrate("--tenant", "acme")
    assert "last calibrated" not in told
    calibrated = threshold(crowd, worker)
    assert 0.15 < calibrated < shipped - 0.1
    assert f"{calibrated:.3f}" in told
    rows = [line.split() for line in told.splitlines() if "calibrated" in line or "shipped" in line]
    shipped_row = next(row for row in rows if row[0] == "1e-03" and row[1] == "shipped")
    assert shipped_row[2:4] == [f"{shipped:.3f}", "0.00000"]
    assert float(shipped_row[7]) == pytest.approx(0.0)
    assert "it still held" in calibrate("--tenant", "acme")
    calibrate("--tenant", "acme", "--forget")
    assert threshold(crowd, worker) == shipped


def test_a_calibration_that_holds_no_longer_is_told(crowd: Tenant) -> None:
    calibrate("--tenant", "acme")
    tenant = Tenant.objects.get(pk=crowd.pk)
    stored = calibration_of(tenant)
    assert stored is not None
    store(tenant, replace(stored, templates=10))
    told = calibrate("--tenant", "acme", "--dry-run")
    assert f"it was measured with 10 templates, and there are {PEOPLE + TWICE}" in told


def test_of_a_small_gallery_nothing_is_stored(acme: Tenant) -> None:
    with pytest.raises(CommandError, match="200 people or more, and there are 0"):
        calibrate("--tenant", "acme")
    assert calibration_of(Tenant.objects.get(pk=acme.pk)) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name a --tenant"),
        (["--forget"], "Name a --tenant"),
        (["--tenant", "nobody"], "there is no tenant 'nobody'"),
        (["--lfw", "nowhere"], "nowhere is no folder"),
    ],
)
def test_what_cannot_be_done_is_told(acme: Tenant, arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        calibrate(*arguments)


@pytest.mark.skipif(not (SHARED_DATA / "lfw" / "images").is_dir(), reason="the shared pictures are not here")
def test_a_tenant_without_people_is_calibrated_by_pictures(acme: Tenant, tmp_path: Path) -> None:
    for person in sorted((SHARED_DATA / "lfw" / "images").iterdir())[:260]:
        (tmp_path / person.name).mkdir()
        for shown in sorted(person.iterdir())[:1]:
            (tmp_path / person.name / shown.name).write_bytes(shown.read_bytes())
    (tmp_path / person.name / "broken.jpg").write_bytes(b"no picture")
    told = calibrate("--tenant", "acme", "--lfw", str(tmp_path))
    stored = calibration_of(Tenant.objects.get(pk=acme.pk))
    assert stored is not None
    assert 200 <= stored.subjects <= 260
    assert stored.templates == stored.subjects, "it holds for a gallery of that size, which is empty yet"
    similarity = dict(zip(stored.found.fmr, stored.found.similarity, strict=True))
    assert similarity[1e-2] == pytest.approx(0.244, abs=0.02), "what Labeled Faces in the Wild has at that rate"
    assert "nobody has a second" in told
    assert np.isfinite(stored.found.tail_scale)

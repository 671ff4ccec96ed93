"""Searches for duplicates and calibrations as jobs."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from django.core.management import call_command

from config.service import service_settings
from gallery.models import Subject, Template
from gallery.people import create_subject, delete_subject
from gallery.rates.calibration import calibration_of
from gallery.upkeep import duplicates
from jobs.models import Job
from jobs.workers.execution import execute
from recognition.background.comparisons import names_of, pairs_in
from recognition.background.reports.files import Reports, delete_orphans
from tenants.models import Tenant
from tests.gallery.faces import RULES, face, picture
from tests.recognition.background import doing
from tests.recognition.background.doing import asked, enrol, entries, finished, gallery, result_of
from vocabulary.jobs import JobStatus, JobType

ANYBODY = replace(RULES, duplicate_check=False)
TWICE = (2, 5)
PEOPLE = 210
ABOUT = partial(pytest.approx, abs=1e-5)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "PAGE", 3)


def crowd(tenant: Tenant) -> None:
    """Seven people, two of them under two names, and somebody without a face."""
    for seed in range(7):
        enrol(tenant, f"p{seed}", face(seed), rules=ANYBODY)
    for seed in TWICE:
        enrol(tenant, f"q{seed}", picture(face(seed), 0.7, 50 + seed), rules=ANYBODY)
    create_subject(tenant, "nobody", {})


def reports_of(tenant: Tenant) -> Reports:
    return Reports(service_settings().data_dir, tenant, gallery().protection)


def reported(tenant: Tenant, job: Job) -> list[tuple[list[str], Any]]:
    """The subjects and similarity of each pair, by the job's report."""
    pairs = pairs_in(reports_of(tenant).read(job.public_id))
    names = names_of(tenant, pairs)
    return [([names[one] for one in pair.subjects], ABOUT(pair.similarity)) for pair in pairs]


def printed(tenant: Tenant) -> list[tuple[list[str], Any]]:
    out = io.StringIO()
    call_command("find_duplicates", "--tenant", tenant.name, "--json", stdout=out)
    pairs = [json.loads(line) for line in out.getvalue().splitlines()]
    return [(pair["subjects"], pair["similarity"]) for pair in pairs]


def files_of(tenant: Tenant) -> list[str]:
    return sorted(path.suffix for path in (service_settings().data_dir / "reports" / str(tenant.pk)).glob("*"))


def test_pairs_are_those_of_the_command_in_a_sealed_report(tenant: Tenant) -> None:
    crowd(tenant)
    job = asked(tenant, JobType.FIND_DUPLICATES)
    found = result_of(job)
    report = f"reports/{tenant.pk}/{job.public_id}.json"
    assert found == {
        "subjects": 10,
        "pairs": 2,
        "stopped": False,
        "expected_by_chance": pytest.approx(10 * service_settings().target_fpir),
        "report": report,
    }
    assert len(entries(tenant, "duplicate_found")) == 2
    assert len(entries(tenant, "gallery_compared")) == 1
    assert reported(tenant, job) == printed(tenant)
    assert [pair for pair, _ in reported(tenant, job)] == [["p2", "q2"], ["p5", "q5"]]
    path = service_settings().data_dir / report
    assert path.stat().st_mode & 0o777 == 0o600
    references = Subject.objects.filter(tenant=tenant).values_list("reference", flat=True)
    assert not any(str(one).encode() in path.read_bytes() for one in references)


def test_in_parts_or_killed_each_pair_is_found_once(
    tenant: Tenant, twin: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in (tenant, twin):
        crowd(one)
    doing.in_small_parts(monkeypatch)
    in_parts = asked(twin, JobType.FIND_DUPLICATES)
    whole = result_of(in_parts)
    assert Job.across_tenants.get(pk=in_parts.pk).runs > 3
    job = doing.killed_again_and_again(asked(tenant, JobType.FIND_DUPLICATES))
    assert job.status == JobStatus.SUCCEEDED, job.error
    assert {**(job.result or {}), "report": ""} == {**whole, "report": ""}
    assert reported(tenant, job) == printed(twin)
    assert reported(twin, in_parts) == printed(twin)
    assert (job.done, job.total) == (10, 10)
    assert files_of(tenant) == files_of(twin) == [".json"], "nothing else is left"
    assert len(entries(tenant, "gallery_compared")) == 1


def test_a_search_stops_at_its_limit_and_without_pairs_there_is_no_report(tenant: Tenant, twin: Tenant) -> None:
    crowd(tenant)
    stopped = result_of(asked(tenant, JobType.FIND_DUPLICATES, limit=1))
    assert (stopped["pairs"], stopped["stopped"]) == (1, True)
    enrol(twin, "p0", face(0))
    assert result_of(asked(twin, JobType.FIND_DUPLICATES))["report"] is None
    assert files_of(twin) == []


def test_who_is_erased_is_named_no_more_by_a_report(tenant: Tenant) -> None:
    crowd(tenant)
    job = asked(tenant, JobType.FIND_DUPLICATES)
    result_of(job)
    delete_subject(tenant, "q2")
    (pair, _) = pairs_in(reports_of(tenant).read(job.public_id))
    assert sorted(names_of(tenant, [pair]).values()) == ["p2"]


def test_a_cancelled_search_leaves_nothing_but_what_was_found(tenant: Tenant) -> None:
    crowd(tenant)
    job = doing.cancelled_in_the_middle(asked(tenant, JobType.FIND_DUPLICATES), 6)
    assert (job.result, job.status) == (None, JobStatus.CANCELLED)
    assert Template.objects.filter(tenant=tenant).count() == 9
    assert len(result_of(asked(tenant, JobType.FIND_DUPLICATES))) == 5


def test_a_search_that_was_cancelled_and_is_tried_again_finds_everything(tenant: Tenant) -> None:
    crowd(tenant)
    job = asked(tenant, JobType.FIND_DUPLICATES)
    with pytest.MonkeyPatch.context() as patch:
        doing.in_small_parts(patch)
        while files_of(tenant) != [".part"]:
            execute(job.pk)
        doing.cancelled_in_the_middle(job, 1)
    delete_orphans(service_settings().data_dir)
    assert files_of(tenant) == []
    Job.objects.filter(tenant=tenant, pk=job.pk).update(status=JobStatus.QUEUED)
    assert result_of(job)["pairs"] == 2


def many(tenant: Tenant) -> None:
    own = gallery()
    subjects = Subject.objects.bulk_create(Subject(tenant=tenant, subject_id=f"p{n}") for n in range(PEOPLE))
    faces = [*map(face, range(PEOPLE)), *(picture(face(n), 0.6, n) for n in range(40))]
    vectors = own.protection.protect(faces, tenant)
    Template.objects.bulk_create(
        Template(tenant=tenant, subject=subject, model_id=own.model_id, vector=vector)
        for subject, vector in zip([*subjects, *subjects[:40]], vectors, strict=True)
    )


def calibrated_by_command(tenant: Tenant) -> list[list[str]]:
    """Threshold and FPIR of each row that the command prints."""
    out = io.StringIO()
    call_command("calibrate", "--tenant", tenant.name, "--dry-run", stdout=out)
    rows = [line.split() for line in out.getvalue().splitlines()]
    return [row[:4] for row in rows if len(row) > 4 and row[1] in ("calibrated", "shipped") and row[0] != "last"]


def calibrated_by_job(found: Any) -> list[list[str]]:
    return [
        [
            f"{at['target']:.0e}",
            "calibrated" if at["calibrated"] else "shipped",
            f"{at['threshold']:.3f}",
            f"{at['fpir']['rate']:.5f}",
        ]
        for at in found["rates"]
    ]


def test_a_calibration_measures_what_the_command_does_and_stores_it_once(tenant: Tenant) -> None:
    many(tenant)
    dry = result_of(asked(tenant, JobType.CALIBRATE, dry_run=True))
    assert dry["stored"] is False
    assert calibration_of(Tenant.objects.get(pk=tenant.pk)) is None
    job = doing.killed_again_and_again(asked(tenant, JobType.CALIBRATE))
    assert job.status == JobStatus.SUCCEEDED, job.error
    assert job.result == {**dry, "stored": True}
    stored = calibration_of(Tenant.objects.get(pk=tenant.pk))
    assert stored is not None
    assert (stored.subjects, stored.templates) == (PEOPLE, PEOPLE + 40) == (dry["subjects"], dry["templates"])
    assert [entry.details for entry in entries(tenant, "policy_changed")] == [{"calibrated": True}]
    assert len(entries(tenant, "gallery_compared")) == 2, "once for each job"
    assert calibrated_by_job(job.result) == calibrated_by_command(tenant)
    assert result_of(asked(tenant, JobType.CALIBRATE, forget=True)) == {"stored": False, "forgotten": True}
    assert calibration_of(Tenant.objects.get(pk=tenant.pk)) is None


def test_of_a_small_gallery_a_calibration_is_refused(tenant: Tenant) -> None:
    enrol(tenant, "alice", face(0))
    job = finished(asked(tenant, JobType.CALIBRATE))
    assert (job.status, job.error) == (
        JobStatus.FAILED,
        "a calibration needs 200 people or more, and there are 1",
    )


def test_a_cancelled_calibration_stores_nothing(tenant: Tenant) -> None:
    many(tenant)
    doing.cancelled_in_the_middle(asked(tenant, JobType.CALIBRATE), 3)
    assert calibration_of(Tenant.objects.get(pk=tenant.pk)) is None

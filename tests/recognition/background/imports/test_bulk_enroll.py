"""What an import does with pictures and people: as REST does, picture by picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit import actor as actors
from audit.models import AuditEntry
from config.service import service_settings
from gallery.models import Consent, ImportedPicture, Picture, Subject, Template, TemplateOrigin
from gallery.people import Sample, delete_template
from jobs.models import Job
from recognition.background.engine import client
from recognition.background.imports import work
from recognition.worker import Worker
from tenants.models import Tenant
from tests.enrolling import enroll
from tests.processes import run
from tests.recognition.background.imports.support import (
    EngineHere,
    asked,
    counts,
    done,
    imported,
    lay,
    report,
    result_of,
    templates,
)
from tests.recognition.support import Faces
from vocabulary.audit import ActorKind, AuditKind


@pytest.fixture
def folder(imports: Path, faces: Faces) -> Path:
    """One person by two pictures, another by one."""
    lay(imports / "people", alice__one=faces.astronaut, alice__two=faces.astronaut_again, bob__face=faces.hopper)
    return imports


@pytest.mark.usefixtures("each_database")
def test_each_picture_is_enrolled_or_rejected_with_a_reason(tenant: Tenant, folder: Path, faces: Faces) -> None:
    people = folder / "people"
    lay(people, changed__1=faces.astronaut, changed__2=faces.hopper, empty__1=faces.nobody, lies__1=faces.on_its_side)
    lay(people, carol=faces.hopper, broken__1=b"no picture", **{"no id!__1": faces.hopper})
    (people / "gif.gif").write_bytes(b"GIF89a" + bytes(64))
    (people / "alice" / "notes.txt").write_text("nobody's business")
    (people / "alice" / ".hidden.jpg").write_bytes(faces.hopper)
    with actors.acting(actors.Actor(ActorKind.KEY, "key-1", "backend")):
        job = done(asked(tenant, "people"))
    assert report(folder, job) == {
        "alice/one.jpg": ("alice", "enrolled", ""),
        "alice/two.jpg": ("alice", "enrolled", ""),
        "bob/face.jpg": ("bob", "enrolled", ""),
        "broken/1.jpg": ("broken", "rejected", "invalid_image"),
        "carol.jpg": ("carol", "rejected", "duplicate_face"),
        "changed/1.jpg": ("changed", "rejected", "duplicate_face"),
        "changed/2.jpg": ("changed", "rejected", "face_changed"),
        "empty/1.jpg": ("empty", "rejected", "no_face"),
        "gif.gif": ("gif", "rejected", "unsupported_format"),
        "lies/1.jpg": ("lies", "rejected", "look_straight"),
        "no id!/1.jpg": ("no id!", "rejected", "invalid_subject_id"),
    }
    assert counts(job) == (3, 2, 8, 0)
    assert templates(tenant) == {"alice": 2, "bob": 1}
    entries = AuditEntry.objects.filter(tenant=tenant, kind=AuditKind.ENROLLED)
    assert {(one.actor_kind, one.actor_reference, one.actor_name) for one in entries} == {("key", "key-1", "backend")}
    assert {one.reference for one in entries} == {
        one.reference.hex for one in Subject.objects.filter(tenant=tenant) if one.reference is not None
    }


def test_a_second_import_finds_everything_there(tenant: Tenant, folder: Path) -> None:
    imported(tenant, "people")
    (folder / "people" / "bob" / "face.jpg").rename(folder / "people" / "bob" / "renamed.jpg")
    before = Tenant.objects.get(pk=tenant.pk).gallery_version
    again = imported(tenant, "people")
    assert counts(again) == (0, 0, 0, 3)
    assert set(report(folder, again).values()) == {("alice", "already there", ""), ("bob", "already there", "")}
    assert Tenant.objects.get(pk=tenant.pk).gallery_version == before


def test_a_new_picture_of_somebody_who_is_there_is_added(tenant: Tenant, folder: Path, faces: Faces) -> None:
    (folder / "people" / "alice" / "two.jpg").unlink()
    imported(tenant, "people")
    lay(folder / "people", alice__two=faces.astronaut_again, alice__copy=faces.astronaut, bob__other=faces.astronaut)
    again = imported(tenant, "people")
    assert report(folder, again) == {
        "alice/copy.jpg": ("alice", "already there", ""),
        "alice/one.jpg": ("alice", "already there", ""),
        "alice/two.jpg": ("alice", "enrolled", ""),
        "bob/face.jpg": ("bob", "already there", ""),
        "bob/other.jpg": ("bob", "rejected", "different_face"),
    }
    assert templates(tenant) == {"alice": 2, "bob": 1}


def test_what_was_erased_is_enrolled_again(tenant: Tenant, folder: Path) -> None:
    imported(tenant, "people")
    Subject.objects.get(tenant=tenant, subject_id="bob").delete()
    erased = Template.objects.filter(tenant=tenant, subject__subject_id="alice").first()
    assert erased is not None
    delete_template(tenant, "alice", erased.public_id)
    assert counts(imported(tenant, "people")) == (2, 2, 0, 1)
    assert ImportedPicture.objects.filter(subject__tenant=tenant).count() == 3


def test_replacing_takes_the_place_of_what_is_there(tenant: Tenant, folder: Path, faces: Faces) -> None:
    imported(tenant, "people")
    (folder / "people" / "alice" / "one.jpg").unlink()
    again = imported(tenant, "people", replace=True)
    assert report(folder, again) == {
        "alice/two.jpg": ("alice", "enrolled", ""),
        "bob/face.jpg": ("bob", "already there", ""),
    }
    assert templates(tenant) == {"alice": 1, "bob": 1}
    origins = Template.objects.filter(tenant=tenant, subject__subject_id="alice").values_list("origin", flat=True)
    assert list(origins) == [TemplateOrigin.RENEWED]
    lay(folder / "people", alice__two=faces.hopper)
    (folder / "people" / "bob" / "face.jpg").unlink()
    assert report(folder, imported(tenant, "people", replace=True)) == {
        "alice/two.jpg": ("alice", "rejected", "different_face")
    }


def test_consent_is_needed_where_the_tenant_says_so_and_kept(tenant: Tenant, folder: Path) -> None:
    tenant.consent_required = True
    tenant.save()
    without = imported(tenant, "people")
    assert {(fate, reason) for _, fate, reason in report(folder, without).values()} == {
        ("rejected", "consent_required")
    }
    assert templates(tenant) == {}
    imported(tenant, "people", consent={"text": "terms", "version": "2"})
    kept = Consent.objects.filter(subject__tenant=tenant).values_list("subject__subject_id", "text", "version")
    assert sorted(kept) == [("alice", "terms", "2"), ("bob", "terms", "2")]


def test_crops_are_kept_if_the_tenant_asks(tenant: Tenant, folder: Path) -> None:
    imported(tenant, "people")
    assert not Picture.objects.filter(tenant=tenant).exists()
    Tenant.objects.filter(pk=tenant.pk).update(picture_days=1)
    Subject.objects.filter(tenant=tenant).delete()
    imported(tenant, "people")
    assert Picture.objects.filter(tenant=tenant).count() == 3


def test_nobody_gets_more_templates_than_there_is_room_for(
    tenant: Tenant, folder: Path, worker: Worker, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    deciding = worker.deciding
    known = worker.engine.embed(worker.engine.analyse(faces.astronaut, worker.limits))
    assert known is not None
    enroll(tenant, "alice", [Sample(known, 1.0)] * 19, deciding.gallery, deciding.rules)
    job = imported(tenant, "people")
    assert [row for name, row in sorted(report(folder, job).items()) if name.startswith("alice")] == [
        ("alice", "enrolled", ""),
        ("alice", "rejected", "too_many_templates"),
    ]
    assert templates(tenant)["alice"] == 20


def test_a_gallery_of_the_former_embedder_gets_templates_of_it(
    tenant: Tenant, folder: Path, worker: Worker, both_embedders: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "people" / "alice" / "two.jpg").unlink()
    imported(tenant, "people")
    former = both_embedders.deciding.former
    assert former is not None
    monkeypatch.setattr(work, "_deciding", lambda: both_embedders.deciding)
    engine = EngineHere(both_embedders.engine, both_embedders.limits)
    monkeypatch.setattr(client, "take", lambda *_: engine)
    lay(folder / "people", alice__again=(folder / "people" / "alice" / "one.jpg").read_bytes() + b" ")
    assert counts(imported(tenant, "people")) == (1, 1, 0, 2)
    assert set(Template.objects.filter(tenant=tenant).values_list("model_id", flat=True)) == {former.model_id}


def test_a_report_goes_to_the_data_directory_where_the_folder_takes_none(
    tenant: Tenant, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recognition.background.imports.reports.os.access", lambda *_: False)
    job = imported(tenant, "people")
    assert result_of(job)["report"] == f"FACE_DATA_DIR/import-reports/acme/people.import-{job.pk}.csv"
    assert (service_settings().data_dir / result_of(job)["report"].removeprefix("FACE_DATA_DIR/")).is_file()
    assert [path.name for path in folder.iterdir()] == ["people"]


def test_cells_are_no_formulas(tenant: Tenant, folder: Path, faces: Faces) -> None:
    lay(folder / "people", **{"=cmd": faces.nobody})
    job = imported(tenant, "people", subject_from="stem")
    text = (folder / result_of(job)["report"]).read_text()
    assert "\n'=cmd.jpg,'=cmd,rejected,invalid_subject_id," in text


def test_progress_is_told(tenant: Tenant, folder: Path) -> None:
    job = asked(tenant, "people")
    assert Job.across_tenants.get(pk=job.pk).total is None
    job = done(job)
    assert (job.done, job.total) == (3, 3)


def test_neither_the_kinds_of_jobs_nor_an_import_load_an_engine_into_the_process_of_the_job() -> None:
    script = (
        "import sys, django; django.setup(); from jobs.kinds import catalogue; catalogue();"
        "import recognition.background.imports.work; print([one for one in ('cv2', 'openvino') if one in sys.modules])"
    )
    found = run(
        "-c", script, DJANGO_SETTINGS_MODULE="face_app.settings", FACE_DATA_DIR=str(service_settings().data_dir)
    )
    assert found.stdout == "[]\n", found.stderr

"""Exports and erasures of people as jobs."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from django.utils import timezone
from jwt import PyJWKSet

from audit.models import AuditEntry
from config.service import service_settings
from gallery.models import Subject, Template
from gallery.people import create_subject
from gallery.protection import reprotection
from gallery.protection.errors import SecretGone
from jobs.models import Job
from jobs.workers.execution import execute
from recognition.background import subjects
from recognition.background.reports import files
from recognition.background.reports.files import ReportGone, Reports
from recognition.deciding import Deciding
from recognition.export import collecting
from recognition.models import Session
from recognition.retention import batches
from recognition.retention.erasure import erase_subject, erase_the_rest
from recognition.retention.rules import enforce_in_turn
from recognition.tokens.signing import ALGORITHM, ERASURE_AUDIENCE, ISSUER, Signer
from tenants.models import Tenant
from tests.gallery.faces import face
from tests.recognition.background import doing
from tests.recognition.background.doing import asked, enrol, entries, finished, gallery, result_of
from vocabulary.jobs import JobStatus, JobType
from vocabulary.sessions import SessionStatus

SESSIONS = 7


def lived(tenant: Tenant, subject_id: str = "alice") -> None:
    """A person with a template and ended sessions."""
    enrol(tenant, subject_id, face(len(subject_id)))
    Session.objects.bulk_create(
        Session(
            tenant=tenant,
            kind="authentication",
            subject_id=subject_id,
            liveness="none",
            target_samples=1,
            status=SessionStatus.CANCELLED,
            token_hash=f"{tenant.pk}-{subject_id}-{number}",
            request_digest="",
            expires_at=timezone.now() + timedelta(hours=1),
        )
        for number in range(SESSIONS)
    )


def path_of(job: Job) -> Path:
    return service_settings().data_dir / str((job.result or {})["report"])


def exported(tenant: Tenant, subject_id: str = "alice") -> Job:
    job = finished(asked(tenant, JobType.EXPORT_SUBJECT, subject_id=subject_id))
    assert job.status == JobStatus.SUCCEEDED, job.error
    return job


def reports_of(tenant: Tenant) -> Reports:
    return Reports(service_settings().data_dir, tenant, gallery().protection)


def claims_of(receipt: str) -> dict[str, Any]:
    """What the receipt says, verified with the published keys alone."""
    keys = PyJWKSet.from_dict(Signer.load(service_settings().data_dir).jwks())
    key = keys[jwt.get_unverified_header(receipt)["kid"]]
    claims: dict[str, Any] = jwt.decode(receipt, key, [ALGORITHM], audience=ERASURE_AUDIENCE, issuer=ISSUER)
    return claims


def test_an_export_is_the_document_of_the_path_sealed_in_a_file(tenant: Tenant) -> None:
    lived(tenant)
    job = exported(tenant)
    document = json.loads(reports_of(tenant).read(job.public_id))
    again = json.loads(collecting.of_subject(tenant, "alice", gallery().protection).model_dump_json())
    *audit, read = again.pop("audit")
    assert read["kind"] == "subject_exported"
    assert document.pop("audit") == audit
    for one in (document, again):
        one.pop("jobs", None)  # The export itself, which has ended since.
    assert document == again
    (mine, _) = AuditEntry.objects.filter(tenant=tenant, kind="subject_exported").order_by("sequence")
    assert (mine.actor_kind, mine.actor_name) == (doing.KEY.kind, doing.KEY.name)
    stored = path_of(job).read_bytes()
    assert path_of(job).stat().st_mode & 0o777 == 0o600
    assert path_of(job).parent.stat().st_mode & 0o777 == 0o700
    assert b"alice" not in stored
    assert b"{" not in stored[:1]


def test_the_jobs_row_has_nothing_of_the_person_but_the_id_that_was_asked_for(tenant: Tenant) -> None:
    lived(tenant)
    job = exported(tenant)
    reference = Subject.objects.get(tenant=tenant).reference
    assert reference is not None
    assert job.result == {
        "report": f"reports/{tenant.pk}/{job.public_id}.json",
        "reference": reference.hex,
        "bytes": len(reports_of(tenant).read(job.public_id)),
        "consents": 0,
        "templates": 1,
        "feedback": 0,
        "sessions": SESSIONS,
        "failed_attempts": 0,
        "known_devices": 0,
        "audit": AuditEntry.objects.filter(tenant=tenant, reference=reference.hex).count() - 1,
    }
    assert "alice" not in json.dumps([job.result, job.checkpoint, job.error])
    assert job.payload == {"subject_id": "alice"}


def test_another_tenant_cannot_read_a_report(tenant: Tenant, twin: Tenant) -> None:
    lived(tenant)
    job = exported(tenant)
    with pytest.raises(ReportGone):
        reports_of(twin).read(job.public_id)


def test_a_report_goes_with_the_secret_that_has_sealed_it(tenant: Tenant) -> None:
    lived(tenant)
    job = exported(tenant)
    result_of(asked(tenant, JobType.ROTATE_KEYS))
    assert reports_of(tenant).read(job.public_id)
    reprotection.finish(tenant)
    with pytest.raises(SecretGone):
        reports_of(tenant).read(job.public_id)
    assert reports_of(tenant).read(exported(tenant).public_id)


def test_an_export_that_is_killed_is_made_by_the_next_run(tenant: Tenant) -> None:
    lived(tenant)
    job = doing.killed_again_and_again(asked(tenant, JobType.EXPORT_SUBJECT, subject_id="alice"))
    assert job.status == JobStatus.SUCCEEDED, job.error
    assert json.loads(reports_of(tenant).read(job.public_id))["subject"]["subject_id"] == "alice"


@pytest.mark.parametrize("type_", [JobType.EXPORT_SUBJECT, JobType.ERASE_SUBJECT])
def test_of_nobody_there_is_nothing_and_the_refusal_names_nobody(tenant: Tenant, type_: JobType) -> None:
    job = finished(asked(tenant, type_, subject_id="somebody"))
    assert (job.status, job.error) == (JobStatus.FAILED, "there is no such subject")


def test_an_export_goes_with_the_person_at_once(tenant: Tenant) -> None:
    lived(tenant)
    lived(tenant, "bob")
    job, other = exported(tenant), exported(tenant, "bob")
    erase_subject(Deciding.load(service_settings()), tenant, "alice")
    assert not path_of(job).exists()
    assert path_of(other).exists()
    with pytest.raises(ReportGone):
        reports_of(tenant).read(job.public_id)


def test_reports_go_with_their_jobs_and_tenants_by_retention(tenant: Tenant, twin: Tenant) -> None:
    lived(tenant)
    lived(twin)
    job, theirs = exported(tenant), exported(twin)
    deciding = Deciding.load(service_settings())
    enforce_in_turn(deciding)
    assert path_of(job).exists()
    Job.objects.filter(tenant=tenant, pk=job.pk).delete()
    folder = path_of(theirs).parent
    twin.delete()
    enforce_in_turn(deciding)
    assert not path_of(job).exists()
    assert not folder.exists()


def test_an_export_that_was_killed_and_then_cancelled_leaves_no_document(tenant: Tenant) -> None:
    lived(tenant)
    job = asked(tenant, JobType.EXPORT_SUBJECT, subject_id="alice")
    with doing.interrupted(1, doing.Killed()), pytest.raises(doing.Killed):
        execute(job.pk)
    assert reports_of(tenant).read(job.public_id)
    doing.give_back(job)
    doing.cancelled_in_the_middle(job, 1)
    files.delete_orphans(service_settings().data_dir)
    with pytest.raises(ReportGone):
        reports_of(tenant).read(job.public_id)


def test_what_a_killed_job_has_written_goes_when_the_job_is_over(tenant: Tenant) -> None:
    job = asked(tenant, JobType.NOOP)
    own = reports_of(tenant)
    own.write_part(job.public_id, 1, b"some")
    data_dir = service_settings().data_dir
    files.delete_orphans(data_dir)
    assert own.read_part(job.public_id, 1) == b"some"
    finished(job)
    assert files.delete_orphans(data_dir) == 1
    with pytest.raises(ReportGone):
        own.read_part(job.public_id, 1)


def test_an_erasure_gives_the_receipt_of_the_path(
    tenant: Tenant, twin: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 3)
    for one in (tenant, twin):
        lived(one)
    receipt = result_of(asked(tenant, JobType.ERASE_SUBJECT, subject_id="alice"))["receipt"]
    of_path = erase_subject(Deciding.load(service_settings()), twin, "alice")
    names = ("why", "erased", "unread_feedback")
    told, expected = claims_of(receipt), claims_of(of_path)
    assert [told[name] for name in names] == [expected[name] for name in names]
    assert told["tenant"] == "acme"
    (entry,) = entries(tenant, "subject_erased")
    assert told["audit"] == f"{entry.sequence}:{entry.hash}"
    assert not Subject.objects.filter(tenant=tenant).exists()
    assert not Session.objects.filter(tenant=tenant).exists()
    assert not Template.objects.filter(tenant=tenant).exists()


def test_an_erasure_that_is_killed_counts_and_signs_once(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH", 3)
    doing.in_small_parts(monkeypatch)
    lived(tenant)
    job = doing.killed_again_and_again(asked(tenant, JobType.ERASE_SUBJECT, subject_id="alice"))
    assert job.status == JobStatus.SUCCEEDED, job.error
    erased = claims_of((job.result or {})["receipt"])["erased"]
    assert (erased["sessions"], erased["templates"]) == (SESSIONS, 1)
    assert len(entries(tenant, "subject_erased")) == 1


def test_a_run_that_was_thought_dead_erases_nobody(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    lived(tenant)
    job = asked(tenant, JobType.ERASE_SUBJECT, subject_id="alice")
    real = erase_the_rest

    def overtaken(*args: Any) -> str:
        doing.overtake(job)
        return real(*args)

    with monkeypatch.context() as patch:
        patch.setattr(subjects, "erase_the_rest", overtaken)
        execute(job.pk)
    assert Subject.objects.filter(tenant=tenant, subject_id="alice").exists()
    assert not AuditEntry.objects.filter(tenant=tenant, kind="subject_erased").exists()
    doing.give_back(job)
    assert claims_of(result_of(job)["receipt"])["erased"]["sessions"] == SESSIONS


def test_a_cancelled_erasure_has_erased_all_or_left_the_person(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH", 3)
    lived(tenant)
    doing.cancelled_in_the_middle(asked(tenant, JobType.ERASE_SUBJECT, subject_id="alice"), 4)
    assert Subject.objects.filter(tenant=tenant, subject_id="alice").exists()
    assert Template.objects.filter(tenant=tenant).count() == 1
    assert 0 < Session.objects.filter(tenant=tenant).count() < SESSIONS
    assert not AuditEntry.objects.filter(tenant=tenant, kind="subject_erased").exists()
    result_of(asked(tenant, JobType.ERASE_SUBJECT, subject_id="alice"))
    assert not Subject.objects.filter(tenant=tenant).exists()


def test_ids_that_no_subject_can_have_are_refused_when_asked_for(tenant: Tenant) -> None:
    create_subject(tenant, "alice", {})
    for wrong in ("", "a b", "x" * 129, "alice\n"):
        with pytest.raises(Exception, match="subject_id"):
            asked(tenant, JobType.ERASE_SUBJECT, subject_id=wrong)

"""An export has everything that names a person, and a model that is added cannot be forgotten."""

from __future__ import annotations

import httpx
from django.apps import apps
from django.db.models import ForeignKey, Model
from pydantic import BaseModel

from audit.models import AuditHead
from core.types import Embedding
from gallery.models import Subject, TemplateChange, TemplateKey
from jobs.models import Job, Schedule, SchedulerSeat
from jobs.submitting import NewJob, submit
from recognition.export import collecting, document
from recognition.models import SeenFrame
from recognition.outcomes.models import OutcomeSummary
from recognition.worker import Worker
from tenants.models import ApiKey, Tenant
from tests.recognition.api.test_api import error_of
from tests.recognition.failing import begun, fail, succeed
from tests.recognition.support import Backend, Faces
from vocabulary.jobs import JobType
from webhooks.models import Endpoint

NAMES_NOBODY: set[type[Model]] = {
    Tenant,
    ApiKey,
    AuditHead,
    TemplateChange,
    TemplateKey,
    SeenFrame,
    OutcomeSummary,
    Schedule,
    SchedulerSeat,
    Endpoint,
}
"""Models without a person in them. `TemplateChange` has numbers of templates, for a day."""
EXPORT = "/api/v1/subjects/alice/export/"


def test_every_model_is_exported_or_names_nobody() -> None:
    assert set(apps.get_models()) == set(collecting.SECTIONS) | NAMES_NOBODY
    assert not set(collecting.SECTIONS) & NAMES_NOBODY
    for model in NAMES_NOBODY:
        named = {field.name for field in model._meta.get_fields()} & {"subject_id", "display_name", "reference"}
        refers = [
            field for field in model._meta.fields if isinstance(field, ForeignKey) and field.related_model is Subject
        ]
        assert (named, refers) == (set(), []), model


def test_every_section_is_in_the_document() -> None:
    assert set(collecting.SECTIONS.values()) == set(document.SubjectExport.model_fields)


def test_every_column_is_exported_but_those_that_say_nothing_of_the_person() -> None:
    """By the names of columns: a new one is exported, or is named here with its reason."""
    left_out = {
        "Subject": {"id", "tenant"},
        "Consent": {"id", "subject"},
        "Template": {"id", "tenant", "subject", "vector"},  # The vector is a risk and no help.
        "Picture": {"id", "tenant", "template"},
        "ImportedPicture": {"id", "subject", "template"},
        "Reembedded": {"id", "tenant", "template", "vector"},
        "Session": {  # What the service needs to go on with it.
            "tenant",
            "begun_by",
            "retell_until",
            "target_samples",
            "token_hash",
            "idempotency_key",
            "request_digest",
            "lease_number",
            "checkpoint",
        },
        "Decision": {"id", "session", "tenant"},
        "FailedAttempts": {"id", "tenant", "key"},
        "KnownDevice": {"id", "subject"},
        "AuditEntry": {"id", "tenant", "reference", "hash"},
        "Feedback": {"id", "tenant", "subject", "model_id", "vector", "key"},
        "SessionProbe": {"id", "session", "tenant", "model_id", "vector"},
        "Job": {  # What workers need to go on with it.
            "id",
            "tenant",
            "checkpoint",
            "result",
            "idempotency_key",
            "request_digest",
            "runs",
            "failures",
            "worker",
            "lease_until",
            "cancelling",
            "published_at",
        },
        "DeadLetter": {"id", "job", "reason", "traceback", "body", "at"},  # For operators; their number is told.
        "Delivery": {"id", "tenant", "subject_id", "is_replay", "waits", "tries"},
    }
    models: dict[str, type[BaseModel]] = {
        "Subject": document.ExportedPerson,
        "Consent": document.ExportedConsent,
        "Template": document.ExportedTemplate,
        "Picture": document.ExportedPicture,
        "ImportedPicture": document.ExportedTemplate,
        "Reembedded": document.ExportedTemplate,
        "Session": document.ExportedSession,
        "Decision": document.ExportedDecision,
        "FailedAttempts": document.ExportedAttempts,
        "KnownDevice": document.ExportedDevice,
        "AuditEntry": document.ExportedEntry,
        "Feedback": document.ExportedFeedback,
        "SessionProbe": document.ExportedSession,
        "Job": document.ExportedJob,
        "DeadLetter": document.ExportedJob,
        "Delivery": document.ExportedDelivery,
    }
    renamed = {
        "public_id": "id",
        "content": "png",
        "sha256": "imported_from",
        "device": "device_id",
        "token": "decision_token",
        "actor_reference": "actor_id",
        "kept_at": "probe_kept_at",
        "endpoint": "webhook",
        "body": "sent",
        "attempts": "answers",
    }
    for model in collecting.SECTIONS:
        columns = {field.name for field in model._meta.fields} - left_out[model.__name__]
        exported = set(models[model.__name__].model_fields)
        assert {renamed.get(name, name) for name in columns} <= exported, model


async def test_the_document_has_what_happened(
    api: httpx.AsyncClient, alice: Backend, worker: Worker, astronaut_embedding: Embedding
) -> None:
    def live() -> None:
        succeed(worker, alice, astronaut_embedding, device_id="phone")
        succeed(worker, alice, astronaut_embedding, kind="identification")
        fail(worker, alice, 2)
        begun(worker, alice)
        begun(worker, alice, subject_id="alice", kind="enrollment", device_id="tablet")
        job = submit(alice.tenant, NewJob(JobType.NOOP))
        about = {"payload": {"subject_id": "alice"}, "subject_id": "alice", "result": {"name": "alice"}}
        Job.across_tenants.filter(pk=job.pk).update(**about)
        submit(alice.tenant, NewJob(JobType.NOOP))

    await worker.database.run(live)
    await api.patch("/api/v1/subjects/alice/", json={"display_name": "Alice A.", "metadata": {"room": 7}})
    answer = await api.get(EXPORT)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["subject"]["display_name"], told["subject"]["metadata"]) == ("Alice A.", {"room": 7})
    assert told["subject"]["seen_at"] is not None
    assert len(told["templates"]) == 1
    (job,) = told["jobs"]
    assert (job["payload"], job["result_characters"], job["dead_letters"]) == ({"subject_id": "alice"}, 17, 0)
    sessions = sorted((session["kind"], session["status"]) for session in told["sessions"])
    assert sessions == [
        ("authentication", "failed"),
        ("authentication", "failed"),
        ("authentication", "in_progress"),
        ("authentication", "succeeded"),
        ("enrollment", "in_progress"),
        ("identification", "succeeded"),
    ]
    assert {bool(session["checkpoint_characters"]) for session in told["sessions"] if session["decision"]} == {False}
    assert all(session["checkpoint_characters"] for session in told["sessions"] if not session["decision"])
    assert [device["device_id"] for device in told["known_devices"]] == ["phone"]
    assert {counter["kind"] for counter in told["failed_attempts"]} == {"subject", "unnamed"}
    assert [entry["kind"] for entry in told["audit"]].count("decided") == 4
    assert "vector" not in answer.text
    again = (await api.get(EXPORT)).json()
    assert again["audit"][-1]["kind"] == "subject_exported"


async def test_nothing_of_somebody_else_is_in_it(
    api: httpx.AsyncClient, rival_api: httpx.AsyncClient, alice: Backend, worker: Worker, faces: Faces
) -> None:
    await api.post("/api/v1/subjects/", json={"subject_id": "alice2", "metadata": {"other": "theirs"}})
    await rival_api.post("/api/v1/subjects/", json={"subject_id": "alice", "metadata": {"other": "theirs"}})
    await worker.database.run(lambda: fail(worker, alice, 1, subject_id="alice2"))
    told = await api.get(EXPORT)
    assert "alice2" not in told.text
    assert "theirs" not in told.text
    assert told.json()["sessions"] == told.json()["failed_attempts"] == []


async def test_who_is_not_there_has_no_export(api: httpx.AsyncClient) -> None:
    assert error_of(await api.get(EXPORT)) == (404, "subject_not_found")

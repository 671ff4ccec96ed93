"""What is stored of people, who can read it, and how long: what docs/data-protection.md says beside other tests."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from django.apps import apps

from audit.models import AuditEntry
from audit.verification import verify
from config.service import service_settings
from config.settings import load
from core.features.values import THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH
from core.types import Embedding
from database import clock as database_clock
from gallery.feedback import Source
from gallery.models import Consent, Feedback, ProtectedRow, Reembedded
from gallery.people import create_subject, find_subject
from gallery.protection.sealed import header
from logs.lines import Redaction
from recognition.export.document import SubjectExport
from recognition.feedback import give
from recognition.management.commands.api_documents import openapi_document
from recognition.models import Session, SessionProbe
from recognition.retention import rounds
from recognition.retention.erasure import erase_for_withdrawal, erase_subject
from recognition.retention.rules import enforce
from recognition.sessions import lifecycle
from recognition.worker import Worker
from testkit import loopback
from testkit.service import REPOSITORY, LiveService
from tests.docs.statements import rows_of
from tests.recognition.api.test_scopes import ROUTES
from tests.recognition.conftest import Configure
from tests.recognition.failing import NO_MATCH, Clock, begun, succeed
from tests.recognition.support import Backend, Faces, http_client, in_database

DOCUMENT = (REPOSITORY / "docs" / "data-protection.md").read_text()
ROWS = rows_of(DOCUMENT)
PAGE = REPOSITORY / "face_recognition_app" / "demo" / "static" / "demo"

TOLD: dict[str, dict[str, str]] = {
    "Subject": {
        "subject_id": "id",
        "display_name": "display name",
        "metadata": "metadata",
        "reference": "a random reference",
        "seen_at": "time of the last success",
    },
    "Template": {"vector": "numbers that describe the face", "quality": "quality", "origin": "origin"},
    "Picture": {"content": "the aligned crop of the face"},
    "ImportedPicture": {"sha256": "digest of the file"},
    "Reembedded": {"vector": "numbers that describe the face"},
    "Feedback": {"vector": "numbers that describe the face", "session": "session", "key": "key"},
    "Consent": {
        "text": "text",
        "version": "version",
        "given_at": "when",
        "given_by": "how",
        "withdrawn_at": "when withdrawn",
    },
    "Session": {
        "subject_id": "id",
        "device_id": "device",
        "metadata": "metadata",
        "consent": "consent",
        "display_name": "display name",
        "address": "digest of the network",
        "checkpoint": "encrypted state with samples of the face",
    },
    "Decision": {
        "subject_id": "id",
        "duplicate_of": "id",
        "success": "outcome",
        "reason": "outcome",
        "similarity": "similarity",
        "liveness": "what liveness saw",
        "evidence": "what liveness saw",
        "token": "token",
    },
    "SessionProbe": {"vector": "numbers that describe the face", "session": "session"},
    "KnownDevice": {"device": "device of a success"},
    "FailedAttempts": {"failed_at": "times of failures", "key": "claimed the person", "kind": "others count for"},
    "AuditEntry": {
        "reference": "the random reference",
        "kind": "what was done",
        "details": "what was done",
        "actor_kind": "by whom",
        "actor_reference": "by whom",
        "actor_name": "by whom",
        "at": "when",
    },
    "TemplateKey": {"wrapped": "secrets of templates, encrypted"},
    "TemplateChange": {"template_pk": "number of a template"},
    "SeenFrame": {"digest": "digest of a frame"},
    "OutcomeSummary": {},
    "Job": {
        "subject_id": "id",
        "payload": "what was asked for",
        "actor": "by whom",
        "checkpoint": "how far it is",
        "result": "what it found",
        "error": "what it found",
    },
    "DeadLetter": {"reason": "what an exception said", "traceback": "what an exception said"},
    "Schedule": {},
    "SchedulerSeat": {},
    "Delivery": {
        "subject_id": "id",
        "type": "what was told",
        "body": "what was told",
        "attempts": "the receiver's answers",
    },
    "Endpoint": {},
    "AuditHead": {},
    "Tenant": {},
    "ApiKey": {},
}
"""The words of the table by the columns they tell of."""
EVERYWHERE = {"id", "tenant", "subject", "model_id", "public_id", "created_at"}
UNTOLD: dict[str, set[str]] = {
    "Session": {
        "kind",
        "liveness",
        "target_samples",
        "renewal",
        "begun_by",
        "retell_until",
        "status",
        "token_hash",
        "idempotency_key",
        "request_digest",
        "lease_number",
        "started_at",
        "expires_at",
    },
    "Decision": {"session", "threshold", "locked_until", "attempts_left"},
    "Picture": {"template"},
    "ImportedPicture": {"template"},
    "Reembedded": {"template"},
    "SessionProbe": {"kept_at"},
    "KnownDevice": {"used_at"},
    "FailedAttempts": {"waits_until", "locked_until", "stale_at"},
    "AuditEntry": {"sequence", "request_id", "hash"},
    "Job": {
        "type",
        "priority",
        "status",
        "done",
        "total",
        "run_at",
        "idempotency_key",
        "request_digest",
        "runs",
        "failures",
        "worker",
        "lease_until",
        "cancelling",
        "request_id",
        "published_at",
        "started_at",
        "finished_at",
    },
    "DeadLetter": {"job", "body", "at"},
    "SchedulerSeat": {"holder", "held_until"},
    "OutcomeSummary": {"day", "sessions", "attempts", "locks", "enrolments", "median_ms", "p95_ms", "made_at"},
    "TemplateKey": {"epoch", "master_id", "retired_at"},
    "TemplateChange": {"revision", "added", "changed_at"},
    "SeenFrame": {"seen_at"},
    "Delivery": {"endpoint", "status", "is_replay", "waits", "tries", "finished_at"},
}
"""Columns that say nothing of a person beyond the row's being there. Of rows about nobody none is named."""


def test_every_column_of_a_model_is_told() -> None:
    assert TOLD.keys() == {model.__name__ for model in apps.get_models()}
    for model in apps.get_models():
        name, cell = model.__name__, ROWS[model.__name__]["about a person"]
        assert all(word in cell for word in TOLD[name].values()), name
        if cell == "nothing":
            continue
        columns = {field.name for field in model._meta.fields} - EVERYWHERE
        assert columns == TOLD[name].keys() | UNTOLD.get(name, set()), name


def test_one_table_has_pictures() -> None:
    kinds = {
        (model.__name__, field.name)
        for model in apps.get_models()
        for field in model._meta.fields
        if field.get_internal_type() in ("BinaryField", "FileField", "ImageField")
    }
    vectors = {(model.__name__, "vector") for model in apps.get_models() if issubclass(model, ProtectedRow)}
    secrets = {("TemplateKey", "wrapped"), ("Endpoint", "secret"), ("Endpoint", "former_secret")}
    assert kinds == vectors | secrets | {("Picture", "content"), ("DeadLetter", "body"), ("ImportedPicture", "sha256")}


async def test_the_state_of_a_session_has_one_small_grey_picture(
    api: httpx.AsyncClient, worker: Worker, alice: Backend, faces: Faces
) -> None:
    body = {"kind": "identification", "liveness": "passive"}
    created = (await api.post("/api/v1/sessions/", json=body)).json()
    url, headers = f"/api/v1/sessions/{created['id']}/frames/", {"content-type": "image/jpeg"}
    for _ in range(5):
        assert (await api.post(url, content=faces.hopper, headers=headers)).status_code == 200
    session = await in_database(worker, lambda: Session.across_tenants.select_related("tenant").get())
    flow = await in_database(worker, lifecycle.readable, worker.deciding, session)
    assert len(flow.liveness.body.reference) == 80 * 60 == THUMBNAIL_WIDTH * THUMBNAIL_HEIGHT
    assert faces.hopper[:64] not in session.checkpoint.encode()


def test_what_an_open_session_needs_is_gone_when_it_ends(worker: Worker, alice: Backend) -> None:
    lease = begun(worker, alice, host="203.0.113.7")
    Session.across_tenants.update(display_name="Alice")
    lease.session.refresh_from_db()
    assert lease.session.checkpoint
    assert lease.session.address
    lifecycle.decide(worker.deciding, lease, NO_MATCH)
    ended = Session.across_tenants.get()
    assert (ended.checkpoint, ended.address, ended.display_name) == ("", "", "")


def keep_everything(worker: Worker, backend: Backend, alices: Embedding, bobs: Embedding) -> None:
    """A consent of alice, a probe by which she matched, and a picture that was rejected as her."""
    told = {"text": "terms", "version": "1", "given_by": "rest", "given_at": database_clock.now()}
    Consent.objects.create(subject=find_subject(backend.tenant, "alice"), **told)
    succeed(worker, backend, alices)
    give(worker.deciding, worker.deciding.gallery, backend.tenant, "alice", bobs, Source(), correct=False)


def test_every_embedding_is_stored_protected(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding, hopper_embedding: Embedding
) -> None:
    keep_everything(worker, alice, astronaut_embedding, hopper_embedding)
    holders: set[Any] = {model for model in apps.get_models() if issubclass(model, ProtectedRow)}
    for model in holders - {Reembedded}:  # Of which there are rows while a gallery is moved.
        (stored,) = [bytes(vector) for vector in model.across_tenants.values_list("vector", flat=True)]
        assert stored.startswith(header(1)), model
        for embedding in (astronaut_embedding, hopper_embedding):
            for form in (np.float32, np.float16):
                assert embedding.astype(form).tobytes()[:32] not in stored, model


def test_consents_feedback_and_probes_go_with_the_person(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding, hopper_embedding: Embedding
) -> None:
    kept: list[Any] = [Consent, Feedback, SessionProbe]
    keep_everything(worker, alice, astronaut_embedding, hopper_embedding)
    assert [model.across_tenants.count() for model in kept] == [1, 1, 1]
    erase_subject(worker.deciding, alice.tenant, "alice")
    assert [model.across_tenants.count() for model in kept] == [0, 0, 0]


def test_kept_probes_go_with_the_consent(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding, hopper_embedding: Embedding
) -> None:
    keep_everything(worker, alice, astronaut_embedding, hopper_embedding)
    erase_for_withdrawal(worker.deciding, alice.tenant, "alice")
    assert not SessionProbe.across_tenants.exists()
    assert Consent.across_tenants.get().withdrawn_at is not None


def test_entries_are_kept_for_as_long_as_the_setting_says(alice: Backend, clock: Clock, configure: Configure) -> None:
    worker = configure(retain_audit_days=10)
    create_subject(alice.tenant, "bob", {})
    kept = AuditEntry.across_tenants.filter(kind="subject_created")
    for days, number in ((9, 1), (3, 0)):
        clock.advance(timedelta(days=days).total_seconds())
        enforce(worker.settings, database_clock.now())
        assert kept.count() == number
    assert verify(alice.tenant.pk).fault == ""


def test_indexes_are_brought_up_to_date_every_ten_seconds(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rounds.TASKS_EVERY_S == 10
    called: list[str] = []
    store = type(worker.deciding.gallery.store)
    monkeypatch.setattr(store, "catch_up", lambda _: called.append("catch_up"))
    dict(rounds.PERIODIC_TASKS)["bringing galleries in memory up to date"](worker.deciding)
    assert called == ["catch_up"]


async def test_an_index_has_the_ids_of_subjects(api: httpx.AsyncClient, alice: Backend, faces: Faces) -> None:
    assert (await api.post("/api/v1/faces/search/", files={"image": faces.astronaut})).json()["matches"]
    index = service_settings().data_dir / "index" / str(alice.tenant.pk)
    assert any(b"alice\0" in path.read_bytes() for path in index.rglob("*") if path.is_file())


def test_the_keys_are_those_that_are_known(live_service: LiveService) -> None:
    names = {path.name for path in (live_service.data_dir / "keys").rglob("*") if path.is_file()}
    assert {"audit-key", "secret-key"} <= names
    assert all(re.fullmatch(r"audit-key|secret-key|.*lock|.*\.pem", name) for name in names), names


def test_what_workers_leave_of_themselves_names_nobody(live_service: LiveService) -> None:
    headers = {"Authorization": f"Bearer {live_service.api_key}"}
    made = loopback.post(
        f"{live_service.base_url}/api/v1/subjects/", json={"subject_id": "someone-unmistakable"}, headers=headers
    )
    assert made.status_code == 201
    files = [path for path in (live_service.data_dir / "run").rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if b"someone-unmistakable" in path.read_bytes()] == []


def test_the_log_goes_to_standard_error_unless_a_file_is_asked_for() -> None:
    assert not load({}).log_file
    assert load({}).log_console


async def test_a_line_about_a_refusal_names_nobody(api: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(Redaction())
    with caplog.at_level(logging.WARNING):
        await api.get("/api/v1/subjects/somebody-who-is-not-there/")
    lines = [record.getMessage() for record in caplog.records if record.name == "django.request"]
    assert [line for line in lines if "/api/v1/subjects/.../" in line]
    assert "somebody" not in caplog.text


def test_the_page_keeps_nothing_else_in_the_browser() -> None:
    scripts = {path: path.read_text() for path in PAGE.rglob("*.js")}
    kept = {found for text in scripts.values() for found in re.findall(r'\bkeep\("(\w+)", (\w+)', text)}
    assert kept == {("localStorage", "LANGUAGE"), ("sessionStorage", "CONSENT")}
    direct = re.compile(r"document\.cookie|indexedDB|caches\.|(?:local|session)Storage[.\[]|window\[storage\]\.setItem")
    assert {path.name for path, text in scripts.items() if direct.search(text)} == {"storage.js"}


async def test_no_answer_of_the_page_sets_a_cookie(worker: Worker, configure: Configure) -> None:
    configure(demo=True)
    async with http_client(None) as visitor:
        for path in ("/", "/demo/sessions/"):
            assert "set-cookie" not in (await visitor.get(path)).headers


def test_scopes_are_those_of_the_document() -> None:
    of_people = [route for route in ROUTES if route.method == "GET" and route.path.startswith("/api/v1/subjects/")]
    assert {route.scopes for route in of_people} == {frozenset({"subjects", "read"})}
    assert len(of_people) == 5
    for method, path, scopes in (
        ("GET", "/api/v1/audit/", {"admin"}),
        ("GET", "/api/v1/sessions/{session_id}/", {"sessions", "read"}),
        ("POST", "/api/v1/faces/search/", {"faces"}),
        ("POST", "/api/v1/faces/verify/", {"faces"}),
    ):
        assert [route.scopes for route in ROUTES if (route.method, route.path) == (method, path)] == [scopes]


def test_no_answer_has_a_vector() -> None:
    schemas = openapi_document()["components"]["schemas"]
    names = {name for schema in schemas.values() for name in schema.get("properties", ())}
    assert not names & {"vector", "embedding", "checkpoint"}
    assert schemas["TemplateDetail"]["properties"].keys() == {"id", "quality", "origin", "created_at"}


def test_the_sections_of_an_export_are_named() -> None:
    for section in SubjectExport.model_fields:
        assert f"`{section}`" in DOCUMENT

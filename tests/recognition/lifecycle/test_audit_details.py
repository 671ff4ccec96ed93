"""Entries say what was changed and of whom something was told, by references, and by whom a session was begun."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any

import httpx
import pytest
from django.core.management import call_command

from audit.models import AuditEntry
from config.service import service_settings
from core.liveness.decision import Liveness, Verdict
from core.liveness.policy import Policy
from core.types import Embedding
from database import clock as database_clock
from gallery.feedback import Source
from gallery.models import Subject, Template, TemplateChange, TemplateKey
from gallery.people import Sample, create_subject
from gallery.protection.master_keys import MasterKeys
from gallery.protection.tenant_secrets import TenantSecrets
from recognition.feedback import give
from recognition.models import FailedAttempts, SeenFrame
from recognition.retention.batches import apply_in_batches
from recognition.retention.rules import RULES, enforce
from recognition.sessions import seen_frames
from recognition.worker import Worker
from tenants.keys import issue_key
from tenants.liveness_policy import policy_of, set_policy
from tenants.scopes import Scope
from tests.enrolling import enroll
from tests.gallery.faces import picture
from tests.recognition.failing import LIMIT, Clock, fail, succeed
from tests.recognition.lifecycle.test_audit_api import trail
from tests.recognition.support import Backend, Faces, connect, http_client, in_database, until_complete

SUBJECTS, SESSIONS = "/api/v1/subjects/", "/api/v1/sessions/"


async def upload(client: httpx.AsyncClient, subject_id: str, data: bytes, **how: Any) -> httpx.Response:
    files = [("images", ("a.jpg", data, "image/jpeg"))]
    return await client.post(f"{SUBJECTS}{subject_id}/templates/", files=files, params=how)


async def session(client: httpx.AsyncClient, data: bytes | None, **fields: Any) -> str:
    """The id of a session; decided, if there is a picture to show."""
    body = {"kind": "enrollment", "liveness": "none", "target_samples": 1, **fields}
    created = (await client.post(SESSIONS, json=body)).json()
    if data is not None:
        async with connect(created["token"]) as socket:
            await socket.greeted()
            await until_complete(socket, data)
    return str(created["id"])


async def key_of(client: httpx.AsyncClient) -> str:
    (entry,) = await trail(client, kind="key_issued")
    return str(entry["details"]["key"])


def reference_of(subject_id: str) -> str:
    reference = Subject.across_tenants.get(subject_id=subject_id).reference
    assert reference is not None
    return reference.hex


async def test_an_access_token_is_recorded_with_its_scopes_and_without_itself(api: httpx.AsyncClient) -> None:
    answer = (await api.post("/api/v1/auth/token/", json={"scopes": ["read"]})).json()
    (issued,) = await trail(api, kind="token_issued")
    assert issued["details"] == {"scopes": ["read"], "expires_in_s": answer["expires_in"]}
    assert (issued["actor"]["kind"], issued["actor"]["id"]) == ("key", await key_of(api))
    assert answer["access_token"] not in str(issued)


async def test_an_entry_that_was_changed_hides_no_other(api: httpx.AsyncClient, worker: Worker) -> None:
    await api.post(SUBJECTS, json={"subject_id": "alice"})

    def tamper() -> None:
        AuditEntry.across_tenants.filter(kind="subject_created").update(kind="nothing", actor_kind="nobody")

    await in_database(worker, tamper)
    (changed,) = [entry for entry in await trail(api) if entry["kind"] == "unknown"]
    assert changed["actor"]["kind"] == "unknown"
    exported = (await api.get(f"{SUBJECTS}alice/export/")).json()["audit"]
    assert [(entry["kind"], entry["actor_kind"]) for entry in exported] == [("unknown", "unknown")]


async def test_a_token_that_cannot_be_recorded_is_not_given(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("audit.chain._append", broken)
    answer = await api.post("/api/v1/auth/token/")
    assert answer.status_code == 500
    assert "access_token" not in answer.text


async def test_a_decision_names_the_key_that_began_the_session(api: httpx.AsyncClient, faces: Faces) -> None:
    await session(api, faces.astronaut, subject_id="alice")
    (decided,) = await trail(api, kind="decided")
    assert decided["details"]["begun_by"] == await key_of(api)
    assert decided["actor"]["kind"] == "session"


async def test_only_who_began_an_open_session_reads_it_unrecorded(
    api: httpx.AsyncClient, backend: Backend, worker: Worker
) -> None:
    path = f"{SESSIONS}{await session(api, None, subject_id='alice', metadata={'room': 7})}/"
    assert (await api.get(path)).json()["subject_id"] == "alice"
    token = (await api.post("/api/v1/auth/token/")).json()["access_token"]
    async with http_client(token) as holder:
        assert (await holder.get(path)).status_code == 200
    assert await trail(api, kind="session_read") == []
    other = await in_database(worker, issue_key, backend.tenant, "other", [Scope.READ])
    async with http_client(other.text) as reader:
        assert (await reader.get(path)).json()["metadata"] == {"room": 7}
    (read,) = await trail(api, kind="session_read")
    assert read["actor"]["id"] == str(other.row.public_id)


async def test_cancelling_what_is_over_is_recorded_as_reading_it(
    api: httpx.AsyncClient, alice: Backend, faces: Faces
) -> None:
    done = await session(api, faces.astronaut, kind="identification", target_samples=None)
    told = (await api.delete(f"{SESSIONS}{done}/")).json()
    assert told["decision"]["subject_id"] == "alice"
    assert [entry["kind"] for entry in await trail(api, subject_id="alice")] == ["decided", "session_read"]


async def test_of_a_duplicate_both_are_recorded_whoever_is_told(
    api: httpx.AsyncClient, alice: Backend, worker: Worker, faces: Faces
) -> None:
    await api.post(SUBJECTS, json={"subject_id": "bob"})
    alice_is, bob_is = [await in_database(worker, reference_of, name) for name in ("alice", "bob")]
    assert (await upload(api, "bob", faces.astronaut)).json()["error"]["details"]["subject_id"] == "alice"
    refused = await session(api, faces.astronaut, subject_id="bob")
    assert (await api.get(f"{SESSIONS}{refused}/")).json()["decision"]["duplicate_of"] == "alice"
    (decided,) = await trail(api, kind="decided")
    assert (decided["reference"], decided["details"]["duplicate_of"]) == (bob_is, alice_is)
    found = await trail(api, kind="duplicate_found")
    assert [(one["reference"], one["details"]) for one in found] == [(bob_is, {"other": alice_is})] * 2


def test_each_pair_of_a_search_for_duplicates_is_recorded(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding
) -> None:
    unchecked = replace(worker.deciding.rules, duplicate_check=False)
    enroll(alice.tenant, "bob", [Sample(astronaut_embedding, 1.0)], worker.deciding.gallery, unchecked)
    out = StringIO()
    call_command("find_duplicates", "--tenant", "acme", stdout=out)
    assert "1 pairs among 2 subjects" in out.getvalue()
    compared, pair = AuditEntry.across_tenants.filter(kind__in=["gallery_compared", "duplicate_found"]).order_by("pk")
    assert compared.details == {"subjects": 2}
    assert {pair.reference, pair.details["other"]} == {reference_of("alice"), reference_of("bob")}


async def test_a_renewal_is_recorded_with_the_number_of_templates_that_it_replaced(
    api: httpx.AsyncClient, faces: Faces
) -> None:
    await upload(api, "alice", faces.astronaut)
    await upload(api, "alice", faces.astronaut_again)
    await upload(api, "alice", faces.astronaut, replace=True)
    await session(api, faces.hopper, subject_id="alice", replace=True, allow_different_face=True)
    enrolled = [entry["details"] for entry in await trail(api, kind="enrolled")]
    assert enrolled == [
        {"templates": 1, "renewal": "none", "replaced": 0},
        {"templates": 1, "renewal": "none", "replaced": 0},
        {"templates": 1, "renewal": "replace", "replaced": 2},
        {"templates": 1, "renewal": "unchecked", "replaced": 1},
    ]


def test_an_adaptive_template_is_recorded_with_the_decision_that_made_it(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_policy(alice.tenant, replace(policy_of(alice.tenant), adaptive_templates=True))
    monkeypatch.setattr(Liveness, "verdict", Verdict.PASSED)
    for seed in range(3):
        succeed(worker, alice, picture(astronaut_embedding, 0.8, seed))
    made = [entry.details for entry in AuditEntry.across_tenants.filter(kind="decided").order_by("pk")]
    assert [details["replaced"] for details in made] == [0, 0, 1]
    adaptive = Template.across_tenants.filter(origin="adaptive").order_by("pk").values_list("public_id", flat=True)
    assert [details["adaptive_template"] for details in made][1:] == [str(public_id) for public_id in adaptive]


def test_retention_records_what_of_a_face_and_which_secrets_it_deletes(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding, hopper_embedding: Embedding, clock: Clock
) -> None:
    succeed(worker, alice, astronaut_embedding)
    create_subject(alice.tenant, "bob", {})
    give(worker.deciding, worker.deciding.gallery, alice.tenant, "bob", hopper_embedding, Source(), correct=False)
    TemplateKey.objects.filter(tenant=alice.tenant).update(retired_at=clock.now)
    clock.advance(timedelta(days=400).total_seconds())
    while enforce(worker.settings, database_clock.now()):
        pass
    told = AuditEntry.across_tenants.filter(kind="retention")
    rows = {entry.details["what"]: entry.details["rows"] for entry in told}
    assert {name: rows[name] for name in ("feedback", "sessions")} == {"feedback": 1, "sessions": 1}
    assert AuditEntry.across_tenants.get(kind="template_key_deleted").details == {"epochs": ["1"]}


def test_retention_records_probes_that_it_deletes(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding, clock: Clock
) -> None:
    succeed(worker, alice, astronaut_embedding)
    clock.advance(timedelta(hours=worker.settings.retain_probes_hours, minutes=1).total_seconds())
    enforce(worker.settings, database_clock.now())
    told = AuditEntry.across_tenants.filter(kind="retention")
    assert {"what": "probes", "rows": 1} in [entry.details for entry in told]


def test_a_secret_that_another_master_key_wraps_is_recorded_without_any_key(worker: Worker, alice: Backend) -> None:
    settings = service_settings().model_copy(update={"template_key": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="})
    keys = MasterKeys.load(settings)
    assert TenantSecrets(keys).rewrap() == 1
    wrapped = AuditEntry.across_tenants.get(kind="template_key_wrapped")
    assert wrapped.details == {"epoch": 1, "master_key": keys.newest.id}
    assert TenantSecrets(keys).rewrap() == 0
    assert AuditEntry.across_tenants.filter(kind="template_key_wrapped").count() == 1


def test_what_retention_deletes_of_attempts_frames_and_changes_is_not_recorded(
    worker: Worker, alice: Backend, clock: Clock
) -> None:
    kept: tuple[Any, ...] = (FailedAttempts, SeenFrame, TemplateChange)
    fail(worker, alice, LIMIT)
    seen_frames.remember(alice.tenant, Policy.ACTIVE, ["0123456789abcdef"])
    create_subject(alice.tenant, "bob", {})
    Template.across_tenants.all().delete()
    TemplateChange.across_tenants.update(changed_at=clock.now)
    assert TemplateChange.across_tenants.count() > 1
    AuditEntry.across_tenants.update(at=clock.now)  # So that none of them is old.
    assert all(model.across_tenants.exists() for model in kept)
    clock.advance(timedelta(days=40).total_seconds())
    last = AuditEntry.across_tenants.latest("pk").pk
    rules = [rule for rule in RULES if rule.overdue(worker.settings, clock.now).model in kept]
    for rule in rules:
        apply_in_batches(rule.overdue(worker.settings, clock.now), rule.apply)
    assert not FailedAttempts.across_tenants.exists()
    assert not SeenFrame.across_tenants.exists()
    assert TemplateChange.across_tenants.count() == 1, "only the newest stays"
    assert AuditEntry.across_tenants.latest("pk").pk == last

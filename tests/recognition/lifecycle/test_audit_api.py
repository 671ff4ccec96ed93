"""Every act is recorded with who did it, through REST and real sockets, and the trail names no erased person."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import httpx
import pytest
from django.core.management import call_command
from django.db import DatabaseError, OperationalError

from audit import chain
from audit.models import AuditEntry
from audit.verification import verify
from core.types import Embedding
from recognition.models import Session
from recognition.worker import Worker
from tenants.keys import issue_key
from tenants.liveness_policy import policy_of, set_policy
from tenants.scopes import Scope
from testkit.service import REPOSITORY
from tests.recognition.api.test_api import error_of
from tests.recognition.conftest import Configure
from tests.recognition.failing import LIMIT, fail, succeed
from tests.recognition.lifecycle.conftest import Manage
from tests.recognition.support import (
    ANYONE,
    Backend,
    Faces,
    connect,
    http_client,
    token,
    until_complete,
)
from vocabulary.audit import AuditKind

AUDIT = "/api/v1/audit/"
SUBJECTS = "/api/v1/subjects/"
SECRET = {"note": "a secret of the person"}


async def trail(client: httpx.AsyncClient, **chosen: Any) -> list[dict[str, Any]]:
    """All entries that the list gives, page by page, the oldest first."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        params = {**chosen, "limit": 1, **({} if cursor is None else {"cursor": cursor})}
        answer = await client.get(AUDIT, params=params)
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found[::-1]


async def acts(client: httpx.AsyncClient) -> list[str]:
    return [entry["kind"] for entry in await trail(client) if entry["kind"] != "audit_read"]


async def live(client: httpx.AsyncClient, faces: Faces) -> None:
    """Enrol alice, read all that can be read of her, compare, change, lock and erase."""
    files = [("images", ("a.jpg", faces.astronaut, "image/jpeg"))]
    consent = {"consent": '{"text": "terms", "version": "3"}'}
    assert (await client.post(f"{SUBJECTS}alice/templates/", files=files, data=consent)).status_code == 201
    assert (await client.post(SUBJECTS, json={"subject_id": "bob", "metadata": SECRET})).status_code == 201
    for path in ("", "alice/", "alice/templates/", "alice/lock/", "alice/export/"):
        assert (await client.get(f"{SUBJECTS}{path}")).status_code == 200
    assert (await client.patch(f"{SUBJECTS}alice/", json={"metadata": SECRET})).status_code == 200
    picture = {"image": faces.astronaut_again}
    assert (await client.post("/api/v1/faces/verify/", files=picture, data={"subject_id": "alice"})).json()["match"]
    assert (await client.post("/api/v1/faces/search/", files=picture)).json()["matches"]
    assert (await client.post("/api/v1/faces/search/", files={"image": faces.hopper})).json()["matches"] == []
    two = [("images", faces.astronaut), ("images", faces.hopper)]
    assert (await client.post("/api/v1/faces/compare/", files=two)).status_code == 200
    (template, *_) = (await client.get(f"{SUBJECTS}alice/templates/")).json()["items"]
    assert (await client.delete(f"{SUBJECTS}alice/templates/{template['id']}/")).status_code == 204
    assert (await client.delete(f"{SUBJECTS}alice/consent/")).status_code == 204
    assert (await client.delete(f"{SUBJECTS}alice/")).status_code == 204


LIFE = [
    "tenant_created",
    "key_issued",
    "consent_given",
    "enrolled",
    "subject_created",
    "subject_listed",
    "subject_listed",
    "subject_read",
    "templates_read",
    "locks_read",
    "subject_exported",
    "subject_changed",
    "verified",
    "searched",
    "searched",
    "compared",
    "templates_read",
    "template_erased",
    "consent_withdrawn",
    "subject_erased",
]


async def test_every_act_of_a_backend_is_recorded_in_its_order(
    api: httpx.AsyncClient, backend: Backend, worker: Worker, faces: Faces
) -> None:
    await live(api, faces)
    assert await acts(api) == LIFE
    assert (await worker.database.run(verify, backend.tenant.pk)).fault == ""


async def test_an_entry_names_its_key_request_and_person_but_no_secret(
    api: httpx.AsyncClient, backend: Backend, faces: Faces
) -> None:
    answer = await api.post(SUBJECTS, json={"subject_id": "alice"}, headers={"x-request-id": "this-one"})
    assert answer.status_code == 201
    (created,) = await trail(api, kind="subject_created")
    (issued,) = await trail(api, kind="key_issued")
    assert created["request_id"] == "this-one"
    assert created["actor"]["kind"] == "key"
    assert created["actor"]["id"] == issued["details"]["key"]
    assert created["actor"]["name"] == f"{backend.key[:11]} default"
    assert issued["actor"]["kind"] == "service"
    assert re.fullmatch("[0-9a-f]{32}", created["reference"])
    assert backend.key not in str(await trail(api))


async def test_no_entry_has_an_id_a_name_metadata_or_anything_of_a_face(
    api: httpx.AsyncClient, worker: Worker, faces: Faces
) -> None:
    await live(api, faces)
    rows = await worker.database.run(lambda: list(AuditEntry.across_tenants.values()))
    text = str(rows)
    for forbidden in ("alice", "bob", "secret", "fk_secret"):
        assert forbidden not in text
    words = [value for row in rows for value in row["details"].values() if isinstance(value, str)]
    assert all(len(word) <= 64 for word in words)


async def test_the_trail_of_a_person_can_be_read_before_and_after_the_erasure(
    api: httpx.AsyncClient, faces: Faces
) -> None:
    await api.post(SUBJECTS, json={"subject_id": "alice"})
    await api.get(f"{SUBJECTS}alice/")
    await api.post(SUBJECTS, json={"subject_id": "bob"})
    mine = await trail(api, subject_id="alice")
    reference = mine[0]["reference"]
    assert [entry["kind"] for entry in mine][:2] == ["subject_created", "subject_read"]
    assert {entry["reference"] for entry in mine} == {reference}
    await api.delete(f"{SUBJECTS}alice/")
    assert error_of(await api.get(AUDIT, params={"subject_id": "alice"})) == (404, "subject_not_found")
    kinds = [entry["kind"] for entry in await trail(api, reference=reference)]
    assert (kinds[:2], kinds[-1]) == (["subject_created", "subject_read"], "subject_erased")
    await api.post(SUBJECTS, json={"subject_id": "alice"})
    assert {entry["reference"] for entry in await trail(api, subject_id="alice")} != {reference}


async def test_another_tenant_reads_its_own_trail_only(
    api: httpx.AsyncClient, rival_api: httpx.AsyncClient, backend: Backend
) -> None:
    await api.post(SUBJECTS, json={"subject_id": "alice"})
    (created,) = await trail(api, kind="subject_created")
    assert await trail(rival_api, kind="subject_created") == []
    assert await trail(rival_api, reference=created["reference"]) == []


async def test_an_access_token_is_told_from_its_key(api: httpx.AsyncClient, backend: Backend) -> None:
    answer = (await api.post("/api/v1/auth/token/")).json()
    async with http_client(answer["access_token"]) as holder:
        await holder.post(SUBJECTS, json={"subject_id": "alice"})
    (created,) = await trail(api, kind="subject_created")
    (issued,) = await trail(api, kind="key_issued")
    assert (created["actor"]["kind"], created["actor"]["id"]) == ("token", issued["details"]["key"])


async def test_the_client_of_a_session_decides_as_that_session_on_the_socket(
    api: httpx.AsyncClient, alice: Backend, worker: Worker, faces: Faces
) -> None:
    async with connect(await token(worker, alice, ANYONE)) as socket:
        await socket.greeted()
        _, done = await until_complete(socket, faces.astronaut)
        assert done["success"]
    session = await worker.database.run(Session.across_tenants.get)
    (decided,) = await trail(api, kind="decided")
    assert decided["actor"] == {"kind": "session", "id": str(session.pk), "name": ""}
    assert decided["details"]["success"] is True
    assert decided["details"]["session"] == str(session.pk)
    assert [entry["kind"] for entry in await trail(api, subject_id="alice")] == ["decided"]


async def test_a_session_over_rest_is_recorded_and_so_is_reading_its_result(
    api: httpx.AsyncClient, alice: Backend, faces: Faces
) -> None:
    body = {"kind": "enrollment", "subject_id": "grace", "liveness": "none", "target_samples": 1}
    created = (await api.post("/api/v1/sessions/", json=body)).json()
    url = f"/api/v1/sessions/{created['id']}/"
    assert (await api.get(url)).json()["decision"] is None
    for _ in range(60):
        answer = await api.post(f"{url}frames/", content=faces.hopper, headers={"content-type": "image/jpeg"})
        if answer.json()["type"].endswith("_complete"):
            break
    assert (await api.get(url)).json()["status"] == "succeeded"
    assert [entry["kind"] for entry in await trail(api, subject_id="grace")] == ["enrolled", "decided", "session_read"]


async def test_a_visitor_of_the_page_is_told_from_a_backend(
    api: httpx.AsyncClient, worker: Worker, configure: Configure, faces: Faces
) -> None:
    def make() -> str:
        from tenants.keys import create_tenant

        return create_tenant("demo")[1]

    configure(demo=True)
    key = await worker.database.run(make)
    async with http_client(None) as visitor:
        body = {"kind": "enrollment", "name": "Ada", "liveness": "none", "consent": {"text": "page", "version": "1"}}
        created = (await visitor.post("/demo/sessions/", json=body)).json()
        headers = {"authorization": f"Bearer {created['token']}", "content-type": "image/jpeg"}
        for _ in range(60):
            url = f"/api/v1/sessions/{created['id']}/frames/"
            told = (await visitor.post(url, content=faces.astronaut, headers=headers)).json()
            if told["type"].endswith("_complete"):
                break
        bearer = {"authorization": f"Bearer {told['decision_token']}"}
        assert (await visitor.delete("/demo/face/", headers=bearer)).status_code == 204
    async with http_client(key) as owner:
        (given,) = await trail(owner, kind="consent_given")
        assert given["details"] == {"text": "page", "version": "1", "given_by": "page"}
        assert given["actor"]["kind"] == "session"
        (erased,) = await trail(owner, kind="subject_erased")
        assert erased["actor"]["kind"] == "visitor"


async def test_keys_policies_and_locks_are_recorded(api: httpx.AsyncClient, alice: Backend, worker: Worker) -> None:
    key = (await api.post("/api/v1/keys/", json={"scopes": ["read"]})).json()
    await api.post(f"/api/v1/keys/{key['id']}/rotate/")
    await api.delete(f"/api/v1/keys/{key['id']}/")
    await worker.database.run(set_policy, alice.tenant, replace(policy_of(alice.tenant), covered_faces=True))
    await worker.database.run(fail, worker, alice, LIMIT)
    assert (await api.delete(f"{SUBJECTS}alice/lock/")).status_code == 204
    kinds = [kind for kind in await acts(api) if kind not in ("decided", "tenant_created")]
    expected = ["key_issued", "key_issued", "key_rotated", "key_revoked", "policy_changed", "locked", "unlocked"]
    assert kinds == expected
    mine = {entry["kind"] for entry in await trail(api, subject_id="alice")}
    assert mine - {"audit_read"} == {"decided", "locked", "unlocked"}
    (locked,) = await trail(api, kind="locked")
    assert locked["details"] == {"places": ["unnamed"]}


def test_a_command_is_recorded_with_the_systems_user(manage: Manage) -> None:
    manage("create_tenant", "acme")
    manage("keys", "issue", "--tenant", "acme")
    (row,) = manage.rows(
        "SELECT actor_kind, actor_reference, actor_name FROM audit_auditentry ORDER BY id DESC LIMIT 1"
    )
    assert row == ("command", "keys", manage.user)


async def test_the_signing_keys_rotation_is_recorded_with_every_tenant(
    api: httpx.AsyncClient, rival_api: httpx.AsyncClient, worker: Worker
) -> None:
    await worker.database.run(call_command, "rotate_signing_key")
    (one,), (other,) = [await trail(client, kind="signing_key_rotated") for client in (api, rival_api)]
    assert one["details"] == other["details"] == {"kid": worker.deciding.signer.key_id}


READS = [
    f"{SUBJECTS}",
    f"{SUBJECTS}alice/",
    f"{SUBJECTS}alice/templates/",
    f"{SUBJECTS}alice/lock/",
    f"{SUBJECTS}alice/export/",
    AUDIT,
    "session",
]


@pytest.mark.parametrize("url", READS)
async def test_a_read_that_cannot_be_recorded_is_not_answered(
    api: httpx.AsyncClient,
    alice: Backend,
    worker: Worker,
    astronaut_embedding: Embedding,
    monkeypatch: pytest.MonkeyPatch,
    url: str,
) -> None:
    if url == "session":
        decision = await worker.database.run(succeed, worker, alice, astronaut_embedding)
        url = f"/api/v1/sessions/{decision.session_id}/"
    assert (await api.get(url)).status_code == 200

    def broken(*_: object) -> None:
        raise OperationalError("disk I/O error")

    monkeypatch.setattr(chain, "_append", broken)
    answer = await api.get(url)
    assert error_of(answer) in ((503, "unavailable"), (500, "internal"))
    assert "alice" not in answer.text


async def test_what_cannot_be_recorded_is_not_done(
    api: httpx.AsyncClient, alice: Backend, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise DatabaseError("no")

    with monkeypatch.context() as patch:
        patch.setattr(chain, "_append", broken)
        assert (await api.delete(f"{SUBJECTS}alice/")).status_code >= 500
        assert (await api.post("/api/v1/keys/", json={"scopes": ["read"]})).status_code >= 500
    assert (await api.get(f"{SUBJECTS}alice/")).json()["templates"] == 1
    assert len((await api.get("/api/v1/keys/")).json()["items"]) == 1


async def test_only_admin_reads_the_trail(worker: Worker, backend: Backend) -> None:
    others = [scope for scope in Scope if scope is not Scope.ADMIN]
    issued = await worker.database.run(issue_key, backend.tenant, "others", others)
    async with http_client(issued.text) as client:
        assert error_of(await client.get(AUDIT)) == (403, "scope_missing")


def test_every_kind_is_recorded_somewhere() -> None:
    code = "".join(path.read_text() for path in (REPOSITORY / "face_recognition_app").rglob("*.py"))
    assert [kind.name for kind in AuditKind if f"AuditKind.{kind.name}" not in code] == []

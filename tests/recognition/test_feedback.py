"""Feedback over REST: by a picture and by a session, whom it excludes, and how long what it needs is kept."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import httpx
import pytest

from core.types import Embedding
from database import clock as database_clock
from database.calls import with_connection
from gallery.models import Feedback
from gallery.protection import Protected, reprotection
from gallery.protection.reprotection import Rotated, rotate
from recognition.feedback import probe_of
from recognition.models import SessionProbe
from recognition.retention.rules import enforce
from recognition.worker import Worker
from tenants.models import Tenant
from tests.gallery.faces import secrets_of
from tests.recognition.conftest import Configure
from tests.recognition.failing import succeed
from tests.recognition.support import Backend, Faces, Message, connect, in_database, until_complete

ALICE = "/api/v1/subjects/alice/"


def error_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def say(api: httpx.AsyncClient, picture: bytes, correct: bool = False) -> Message:
    response = await api.post(f"{ALICE}feedback/", files={"image": picture}, data={"correct": str(correct).lower()})
    assert response.status_code == (200 if correct else 201), response.text
    told: Message = response.json()
    return told


async def found(api: httpx.AsyncClient, picture: bytes) -> list[str]:
    response = await api.post("/api/v1/faces/search/", files={"image": picture})
    return [match["subject_id"] for match in response.json()["matches"]]


async def session(api: httpx.AsyncClient, picture: bytes, kind: str = "identification") -> Message:
    """What is read of a session that showed one picture."""
    about = {} if kind == "identification" else {"subject_id": "alice"}
    created = (await api.post("/api/v1/sessions/", json={"kind": kind, "liveness": "none", **about})).json()
    async with connect(created["token"]) as socket:
        await socket.greeted()
        await until_complete(socket, picture)
    read: Message = (await api.get(f"/api/v1/sessions/{created['id']}/")).json()
    return read


async def test_a_picture_that_is_not_the_subject_is_excluded_everywhere_until_it_is_taken_back(
    alice: Backend, api: httpx.AsyncClient, faces: Faces
) -> None:
    probe = faces.astronaut_again
    assert await found(api, probe) == ["alice"]
    assert await say(api, probe) == {"subject_id": "alice", "correct": False, "rejected": 1}
    assert await found(api, probe) == []
    verified = (await api.post("/api/v1/faces/verify/", files={"image": probe}, data={"subject_id": "alice"})).json()
    assert (verified["match"], verified["excluded"]) == (False, True)
    assert verified["similarity"] > verified["threshold"]
    for kind in ("identification", "authentication"):
        assert (await session(api, probe, kind))["decision"]["reasons"] == ["no_match"]
    other = await api.post("/api/v1/subjects/twin/templates/", files={"images": probe})
    assert other.status_code == 201, "who was told apart from alice is no duplicate of hers"
    assert (await found(api, faces.astronaut))[0] == "alice", "alice herself is found as before"
    await api.delete("/api/v1/subjects/twin/")
    assert (await say(api, probe, correct=True))["rejected"] == 0
    assert await found(api, probe) == ["alice"]


async def test_a_session_that_matched_can_be_named_in_place_of_a_picture(
    alice: Backend, api: httpx.AsyncClient, faces: Faces, worker: Worker
) -> None:
    done = await session(api, faces.astronaut_again)
    assert done["decision"]["subject_id"] == "alice"
    body = {"session_id": done["id"], "correct": False}
    told = await api.post(f"{ALICE}feedback/", json=body)
    assert (told.status_code, told.json()["rejected"]) == (201, 1)
    assert (await session(api, faces.astronaut_again))["decision"]["reasons"] == ["no_match"]
    kept = await in_database(worker, lambda: Feedback.across_tenants.values("session", "key").get())
    assert str(kept["session"]) == done["id"]
    assert kept["key"] is not None
    taken_back = await api.post(f"{ALICE}feedback/", json={**body, "correct": True})
    assert (taken_back.status_code, taken_back.json()["rejected"]) == (200, 0)


async def test_a_probe_is_kept_for_a_while_and_never_of_a_session_without_a_match(
    alice: Backend, api: httpx.AsyncClient, faces: Faces, worker: Worker
) -> None:
    stranger, known = await session(api, faces.hopper), await session(api, faces.astronaut)
    assert await in_database(worker, SessionProbe.across_tenants.count) == 1
    for done in (stranger, known):
        if done is known:
            later = database_clock.now() + timedelta(hours=worker.settings.retain_probes_hours, minutes=1)
            await in_database(worker, enforce, worker.settings, later)
        refused = await api.post(f"{ALICE}feedback/", json={"session_id": done["id"], "correct": False})
        assert error_of(refused) == (409, "no_probe")
    assert await in_database(worker, SessionProbe.across_tenants.count) == 0


async def test_no_probe_is_kept_where_the_operator_wants_none(
    alice: Backend, api: httpx.AsyncClient, faces: Faces, configure: Configure
) -> None:
    worker = configure(retain_probes_hours=0)
    assert (await session(api, faces.astronaut))["status"] == "succeeded"
    assert await in_database(worker, SessionProbe.across_tenants.count) == 0


async def test_feedback_is_deleted_when_it_is_too_old(
    alice: Backend, api: httpx.AsyncClient, faces: Faces, worker: Worker
) -> None:
    await say(api, faces.hopper)
    days = worker.settings.retain_feedback_days
    await in_database(worker, enforce, worker.settings, database_clock.now() + timedelta(days=days - 1))
    assert await in_database(worker, Feedback.across_tenants.count) == 1
    await in_database(worker, enforce, worker.settings, database_clock.now() + timedelta(days=days, minutes=1))
    assert await in_database(worker, Feedback.across_tenants.count) == 0


async def test_erasing_the_person_who_was_rejected_erases_the_picture_kept_with_another(
    alice: Backend, api: httpx.AsyncClient, faces: Faces, worker: Worker
) -> None:
    assert (await api.post("/api/v1/subjects/grace/templates/", files={"images": faces.hopper})).status_code == 201
    await say(api, faces.hopper)
    assert (await api.delete("/api/v1/subjects/grace/")).status_code == 204
    assert await in_database(worker, Feedback.across_tenants.count) == 0


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"correct": False}, (422, "validation_error")),
        ({"session_id": "x", "correct": False}, (422, "validation_error")),
        ({"session_id": str(uuid.UUID(int=0))}, (422, "validation_error")),
        ({"session_id": str(uuid.UUID(int=0)), "correct": False}, (404, "session_not_found")),
        ([], (422, "validation_error")),
    ],
)
async def test_what_is_no_feedback_is_refused(
    alice: Backend, api: httpx.AsyncClient, body: object, expected: tuple[int, str]
) -> None:
    assert error_of(await api.post(f"{ALICE}feedback/", json=body)) == expected


async def test_a_tenant_cannot_name_anothers_session_or_subject(
    alice: Backend, api: httpx.AsyncClient, rival_api: httpx.AsyncClient, faces: Faces
) -> None:
    done = await session(api, faces.astronaut)
    body = {"session_id": done["id"], "correct": False}
    assert error_of(await rival_api.post(f"{ALICE}feedback/", json=body)) == (404, "subject_not_found")
    await rival_api.post("/api/v1/subjects/", json={"subject_id": "alice"})
    assert error_of(await rival_api.post(f"{ALICE}feedback/", json=body)) == (404, "session_not_found")


@pytest.mark.usefixtures("each_database")
def test_a_probe_that_is_stored_while_a_rotation_ends_can_be_read_without_the_old_secret(
    worker: Worker, alice: Backend, astronaut_embedding: Embedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    protection = worker.deciding.gallery.protection
    protect, rotations = protection.protect, list[Future[Rotated]]()

    def protect_and_let_rotate(embeddings: Sequence[Embedding], tenant: Tenant) -> list[Protected]:
        """Protect with the old secret; a rotation may end before what it returns is stored."""
        protected = protect(embeddings, tenant)
        secrets = secrets_of(worker.deciding.gallery)
        rotations.append(threads.submit(with_connection, rotate, tenant, secrets, lambda *_: None))
        with suppress(TimeoutError):
            rotations[0].result(0.5)
        return protected

    with ThreadPoolExecutor(1) as threads:
        monkeypatch.setattr(protection, "protect", protect_and_let_rotate)
        decision = succeed(worker, alice, astronaut_embedding)
        assert decision.success
        assert rotations[0].result(60).epoch == 2
    assert reprotection.finish(alice.tenant) == 1
    kept = probe_of(worker.deciding.gallery, alice.tenant, decision.session_id)
    assert float(kept @ astronaut_embedding) == pytest.approx(1, abs=1e-3)

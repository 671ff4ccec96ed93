"""The doors of the page: sessions without a key, and forgetting a face that was just shown."""

# ruff: noqa: RUF001 - people's names are not all in ASCII

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from core.types import Embedding
from gallery.models import Subject, Template
from recognition.models import Session
from recognition.worker import Worker
from tenants.keys import create_tenant
from tests.recognition.api.test_api import JPEG, JSON, error_of
from tests.recognition.conftest import Configure
from tests.recognition.failing import succeed
from tests.recognition.support import Backend, Faces, Message, http_client

SESSIONS = "/demo/sessions/"
FACE = "/demo/face/"


async def test_the_demo_begins_sessions_without_a_key(
    backend: Backend, faces: Faces, configure: Configure, worker: Worker
) -> None:
    configure(demo=True)
    await worker.database.run(create_tenant, "demo")
    async with http_client(None) as client:
        response = await client.post(SESSIONS, json={"kind": "enrollment", "subject_id": "bob", "liveness": "none"})
        assert response.status_code == 201
        assert response.json().keys() == {"id", "token", "websocket_url", "expires_at", "status", "challenge"}
        assert error_of(await client.post(SESSIONS, content=b"{", headers=JSON)) == (422, "validation_error")
        assert error_of(await client.post(SESSIONS, json={"kind": "dance"})) == (422, "validation_error")
        assert error_of(await client.post(SESSIONS, data={"kind": "identification"})) == (415, "unsupported_media_type")
        assert error_of(await client.get(SESSIONS)) == (405, "method_not_allowed")
    session = await worker.database.run(Session.across_tenants.select_related("tenant").get)
    assert session.tenant.name == "demo"


async def test_there_is_no_demo_where_it_is_not_enabled(backend: Backend, configure: Configure, worker: Worker) -> None:
    configure(demo=False)
    await worker.database.run(create_tenant, "demo")
    async with http_client(None) as client:
        response = await client.post(SESSIONS, json={"kind": "identification"})
    assert error_of(response) == (404, "not_found")
    assert await worker.database.run(Session.across_tenants.count) == 0


@pytest.fixture
def demo(transactional_db: None, worker: Worker, configure: Configure) -> Backend:
    """The demo tenant, with the demo switched on. One frame of another face decides."""
    configure(demo=True, no_match_frames=1)
    return Backend(*create_tenant("demo"))


@pytest.fixture
async def client(demo: Backend) -> AsyncIterator[httpx.AsyncClient]:
    async with http_client(None) as client:
        yield client


async def play(client: httpx.AsyncClient, created: Message, picture: bytes) -> Message:
    """Send a picture to the session until it is decided."""
    url = f"/api/v1/sessions/{created['id']}/frames/"
    headers = {"authorization": f"Bearer {created['token']}", **JPEG}
    for _ in range(60):
        answer: Message = (await client.post(url, content=picture, headers=headers)).json()
        if answer["type"].endswith("_complete"):
            return answer
    raise AssertionError("the session was not decided")


async def begin(client: httpx.AsyncClient, kind: str, name: str | None = None) -> Message:
    body = {"kind": kind, "liveness": "none", **({} if name is None else {"name": name})}
    response = await client.post(SESSIONS, json=body)
    assert response.status_code == 201, response.text
    created: Message = response.json()
    return created


async def forget(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.delete(FACE, headers={"authorization": f"Bearer {token}"})


async def test_a_name_in_any_script_enrols_is_confirmed_and_found(client: httpx.AsyncClient, faces: Faces) -> None:
    enrolled = await play(client, await begin(client, "enrollment", "  Işıl  Şahin "), faces.astronaut)
    assert (enrolled["success"], enrolled["display_name"]) == (True, "Işıl  Şahin")
    confirmed = await play(client, await begin(client, "authentication", "IŞIL ŞAHİN"), faces.astronaut_again)
    found = await play(client, await begin(client, "identification"), faces.astronaut_again)
    for told in (confirmed, found):
        assert (told["success"], told["display_name"]) == (True, "Işıl  Şahin")
        assert told["subject_id"] == enrolled["subject_id"]


async def test_who_is_not_confirmed_is_told_no_name(client: httpx.AsyncClient, faces: Faces) -> None:
    await play(client, await begin(client, "enrollment", "María"), faces.astronaut)
    told = await play(client, await begin(client, "authentication", "María"), faces.hopper)
    assert (told["success"], told["display_name"]) == (False, None)


@pytest.mark.parametrize("name", ["", "  ", "a\tb", "a\u0000", "\u200b", "x" * 201, 7, None])
async def test_what_is_no_name_begins_nothing(client: httpx.AsyncClient, worker: Worker, name: Any) -> None:
    answer = await client.post(SESSIONS, json={"kind": "enrollment", "name": name})
    assert error_of(answer) == (422, "validation_error")
    assert await worker.database.run(Session.across_tenants.count) == 0


async def test_a_name_of_an_identification_counts_for_nothing(client: httpx.AsyncClient, worker: Worker) -> None:
    await begin(client, "identification", "Alice")
    session = await worker.database.run(Session.across_tenants.get)
    assert (session.subject_id, session.display_name) == ("", "")


@pytest.mark.parametrize("kind", ["enrollment", "authentication", "identification"])
async def test_a_face_that_was_just_shown_is_forgotten(
    client: httpx.AsyncClient, worker: Worker, faces: Faces, kind: str
) -> None:
    told = await play(client, await begin(client, "enrollment", "Alice"), faces.astronaut)
    if kind != "enrollment":
        told = await play(client, await begin(client, kind, "Alice"), faces.astronaut_again)
    answer = await forget(client, told["decision_token"])
    assert (answer.status_code, answer.content) == (204, b"")
    assert "x-erasure-receipt" in answer.headers
    for rows in (Subject, Template, Session):
        assert await worker.database.run(rows.across_tenants.count) == 0


async def test_a_token_is_good_once_and_for_nobody_who_comes_after(client: httpx.AsyncClient, faces: Faces) -> None:
    told = await play(client, await begin(client, "enrollment", "Alice"), faces.astronaut)
    assert (await forget(client, told["decision_token"])).status_code == 204
    assert error_of(await forget(client, told["decision_token"])) == (404, "subject_not_found")
    await play(client, await begin(client, "enrollment", "Alice"), faces.hopper)
    assert error_of(await forget(client, told["decision_token"])) == (404, "subject_not_found")
    assert error_of(await client.post(SESSIONS, json={"kind": "authentication", "name": "Bob"})) == (
        404,
        "subject_not_found",
    )
    assert (await client.post(SESSIONS, json={"kind": "authentication", "name": "Alice"})).status_code == 201


async def test_only_a_success_lets_a_face_be_forgotten(client: httpx.AsyncClient, worker: Worker, faces: Faces) -> None:
    await play(client, await begin(client, "enrollment", "Alice"), faces.astronaut)
    told = await play(client, await begin(client, "authentication", "Alice"), faces.hopper)
    assert error_of(await forget(client, told["decision_token"])) == (401, "unauthorized")
    assert await worker.database.run(Subject.across_tenants.count) == 1


async def test_a_token_of_another_tenant_forgets_nobody(
    client: httpx.AsyncClient, worker: Worker, alice: Backend, astronaut_embedding: Embedding, faces: Faces
) -> None:
    await play(client, await begin(client, "enrollment", "alice"), faces.astronaut)
    decision = await worker.database.run(succeed, worker, alice, astronaut_embedding)
    assert error_of(await forget(client, decision.token)) == (401, "unauthorized")
    assert await worker.database.run(Subject.across_tenants.filter(subject_id="alice").count) == 2


async def test_an_old_token_forgets_nobody(
    client: httpx.AsyncClient, worker: Worker, faces: Faces, monkeypatch: pytest.MonkeyPatch, configure: Configure
) -> None:
    configure(demo=True, decision_token_ttl_s=3_600)
    told = await play(client, await begin(client, "enrollment", "Alice"), faces.astronaut)
    now = time.time()
    with monkeypatch.context() as later:
        later.setattr("recognition.tokens.signing.time.time", lambda: now + 302)
        assert error_of(await forget(client, told["decision_token"])) == (401, "unauthorized")
    assert (await forget(client, told["decision_token"])).status_code == 204


async def test_what_is_no_decision_token_forgets_nobody(
    client: httpx.AsyncClient, demo: Backend, faces: Faces, worker: Worker
) -> None:
    created = await begin(client, "enrollment", "Alice")
    told = await play(client, created, faces.astronaut)
    header, content, signature = told["decision_token"].split(".")
    forged = f"{header}.{content}.{signature[::-1]}"
    access = (await client.post("/api/v1/auth/token/", headers={"authorization": f"Bearer {demo.key}"})).json()
    for token in ("", "x", forged, created["token"], demo.key, access["access_token"]):
        assert error_of(await forget(client, token)) == (401, "unauthorized")
    assert error_of(await client.delete(FACE)) == (401, "unauthorized")
    basic = {"authorization": f"Basic {told['decision_token']}"}
    assert error_of(await client.delete(FACE, headers=basic)) == (401, "unauthorized")
    assert await worker.database.run(Subject.across_tenants.count) == 1


async def test_forgetting_is_off_where_the_demo_is(
    client: httpx.AsyncClient, faces: Faces, configure: Configure
) -> None:
    told = await play(client, await begin(client, "enrollment", "Alice"), faces.astronaut)
    assert error_of(await client.get(FACE)) == (405, "method_not_allowed")
    configure(demo=False)
    assert error_of(await forget(client, told["decision_token"])) == (404, "not_found")


async def test_a_visitor_cannot_take_anothers_place(client: httpx.AsyncClient) -> None:
    body = {"kind": "enrollment", "name": "Alice", "liveness": "none", "replace": True, "allow_different_face": True}
    refused = await client.post(SESSIONS, json=body)
    assert error_of(refused) == (422, "validation_error")

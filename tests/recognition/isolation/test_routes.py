"""No route tells a tenant that another one has something, or touches it."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from core.types import Embedding
from recognition.worker import Worker
from tenants.keys import create_tenant
from tests.recognition.api.test_api import error_of
from tests.recognition.api.test_documented_errors import OPERATIONS, Documented, Request
from tests.recognition.isolation.theirs import (
    Theirs,
    failures_of,
    make_theirs,
    rows_of,
    statements,
    without_what_is_new,
)
from tests.recognition.support import Backend, Faces, http_client, in_database

Ask = Callable[[Theirs, Faces], Request]


def nothing(*_: object) -> Request:
    return {}


def images(name: str, number: int = 1) -> Ask:
    return lambda _, faces: {"files": [(name, ("a.jpg", faces.hopper, "image/jpeg"))] * number}


CASES: dict[str, Ask] = {
    "create_token": nothing,
    "compare_faces": images("images", 2),
    "detect_faces": images("image"),
    "check_liveness": images("image"),
    "search_subjects": images("image"),
    "verify_subject": lambda theirs, faces: {
        "files": {"image": faces.hopper},
        "data": {"subject_id": theirs.subject_id},
    },
    "list_keys": lambda theirs, _: {"params": {"cursor": theirs.cursor}},
    "create_key": lambda *_: {"json": {"scopes": ["read"]}},
    "delete_key": nothing,
    "rotate_key": nothing,
    "read_report": nothing,
    "list_jobs": lambda theirs, _: {"params": {"cursor": theirs.cursor}},
    "create_job": lambda theirs, _: {
        "json": {"type": "noop", "priority": "low"},
        "headers": {"Idempotency-Key": theirs.idempotency_key},
    },
    "read_job": nothing,
    "cancel_job": nothing,
    "retry_job": nothing,
    "create_session": lambda theirs, _: {
        "json": {"kind": "enrollment", "subject_id": theirs.subject_id, "device_id": theirs.device_id},
        "headers": {"Idempotency-Key": theirs.idempotency_key},
    },
    "cancel_session": nothing,
    "read_session": nothing,
    "add_frame": images("image"),
    "give_feedback": lambda theirs, _: {"json": {"session_id": theirs.path["session_id"], "correct": False}},
    "list_subjects": lambda theirs, _: {"params": {"cursor": theirs.cursor}},
    "create_subject": lambda theirs, _: {"json": {"subject_id": theirs.subject_id}},
    "delete_subject": nothing,
    "read_subject": nothing,
    "update_subject": lambda *_: {"json": {"metadata": {"mine": True}}},
    "lift_locks": nothing,
    "withdraw_consent": nothing,
    "read_locks": nothing,
    "export_subject": nothing,
    "read_audit": lambda theirs, _: {"params": {"cursor": theirs.cursor, "subject_id": theirs.subject_id}},
    "list_outcomes": lambda theirs, _: {"params": {"cursor": theirs.cursor}},
    "read_outcomes": nothing,
    "list_templates": lambda theirs, _: {"params": {"cursor": theirs.cursor}},
    "add_templates": images("images"),
    "delete_template": nothing,
    "list_webhooks": lambda theirs, _: {"params": {"cursor": theirs.cursor}},
    "create_webhook": lambda *_: {"json": {"url": "https://1.1.1.1/hook"}},
    "read_webhook": nothing,
    "update_webhook": lambda *_: {"json": {"enabled": False}},
    "delete_webhook": nothing,
    "rotate_webhook": nothing,
    "test_webhook": nothing,
    "list_deliveries": nothing,
    "replay_delivery": nothing,
    "repeat_delivery": nothing,
}
"""What is asked of each operation with another tenant's ids; those in the path go without saying."""
NAMES_NOTHING = {
    "create_token",
    "compare_faces",
    "detect_faces",
    "check_liveness",
    "create_key",
    "add_templates",
    "create_webhook",
}
"""Operations that answer the owner of all these ids the same: they name nothing, or add something."""


def test_every_operation_has_a_case() -> None:
    assert CASES.keys() == OPERATIONS.keys()


@pytest.fixture
async def theirs(worker: Worker, rival: Backend, hopper_embedding: Embedding) -> Theirs:
    return await make_theirs(worker, rival, hopper_embedding)


async def answer_to(client: httpx.AsyncClient, operation: Documented, theirs: Theirs, faces: Faces) -> httpx.Response:
    url = re.sub(r"{(\w+)}", lambda found: theirs.id_for(operation.name, found[1]), operation.path)
    return await client.request(operation.method, url, **CASES[operation.name](theirs, faces))


def compared(answer: httpx.Response) -> tuple[Any, ...]:
    """What a caller could learn from an answer. The length of a session's challenge is drawn anew each time."""
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "content-length")}
    body = without_what_is_new(answer.json()) if answer.content else None
    if isinstance(body, dict) and "challenge" in body:
        body["challenge"] = None
    return answer.status_code, headers, body


@pytest.mark.parametrize("credential", ["key", "access token"])
@pytest.mark.parametrize("name", OPERATIONS)
async def test_what_another_tenant_has_is_as_if_it_did_not_exist(
    worker: Worker,
    backend: Backend,
    rival: Backend,
    theirs: Theirs,
    faces: Faces,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    credential: str,
) -> None:
    """The same request with the same ids, once beside the other tenant, and once after that tenant is gone."""
    before = await in_database(worker, rows_of, rival.tenant)
    beside, made_beside = await asked_by(worker, backend, credential, name, theirs, faces, monkeypatch)
    assert await in_database(worker, rows_of, rival.tenant) == before
    assert not await in_database(worker, failures_of, backend.tenant)
    await in_database(worker, rival.tenant.delete)
    alone = await in_database(worker, lambda: Backend(*create_tenant("alone")))
    without, made_without = await asked_by(worker, alone, credential, name, theirs, faces, monkeypatch)
    assert compared(beside) == compared(without)
    assert made_beside == made_without, "the work tells whether the other tenant has it"


async def asked_by(
    worker: Worker,
    backend: Backend,
    credential: str,
    name: str,
    theirs: Theirs,
    faces: Faces,
    patch: pytest.MonkeyPatch,
) -> tuple[httpx.Response, list[str]]:
    """The answer to a tenant, and the statements that were made for it."""
    async with http_client(backend.key) as client:
        if credential == "access token" and name != "create_token":
            token = (await client.post("/api/v1/auth/token/")).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
        with statements(patch) as made:
            answer = await answer_to(client, OPERATIONS[name], theirs, faces)
    return answer, made


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name not in NAMES_NOTHING])
async def test_its_owner_is_answered_otherwise(
    api: httpx.AsyncClient, rival_api: httpx.AsyncClient, theirs: Theirs, faces: Faces, name: str
) -> None:
    stranger = await answer_to(api, OPERATIONS[name], theirs, faces)
    owner = await answer_to(rival_api, OPERATIONS[name], theirs, faces)
    assert compared(stranger) != compared(owner)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_a_token_that_opens_something_else_is_no_better_than_a_made_up_one(
    worker: Worker, rival: Backend, theirs: Theirs, faces: Faces, name: str
) -> None:
    """A decision's token opens nothing, and a session's its own session alone."""
    before = await in_database(worker, rows_of, rival.tenant)
    made_up = secrets.token_urlsafe(32)
    tokens = [theirs.decision_token, *([] if name == "add_frame" else [theirs.session_token])]
    answers = []
    for token in (made_up, *tokens):
        async with http_client(token) as client:
            answers.append(await answer_to(client, OPERATIONS[name], theirs, faces))
    assert error_of(answers[0]) == (401, "unauthorized")
    for answer in answers[1:]:
        assert without_what_is_new(answer.json()) == without_what_is_new(answers[0].json())
    assert await in_database(worker, rows_of, rival.tenant) == before


async def test_a_sessions_token_is_good_for_no_session_of_another_tenant(
    worker: Worker, backend: Backend, api: httpx.AsyncClient, theirs: Theirs, faces: Faces
) -> None:
    mine = (await api.post("/api/v1/sessions/", json={"kind": "enrollment", "subject_id": "alice"})).json()
    before = await in_database(worker, rows_of, backend.tenant)
    async with http_client(theirs.session_token) as client:
        send = images("image")(theirs, faces)
        answers = [
            await client.post(f"/api/v1/sessions/{session_id}/frames/", **send)
            for session_id in (mine["id"], "00000000-0000-0000-0000-000000000000")
        ]
    assert [error_of(answer) for answer in answers] == [(404, "session_not_found")] * 2
    words = [answer.json()["error"]["message"].partition(" session ")[0] for answer in answers]
    assert words[0] == words[1]
    assert await in_database(worker, rows_of, backend.tenant) == before


async def test_a_cursor_is_good_for_its_own_tenant_and_tells_no_number(
    api: httpx.AsyncClient, rival_api: httpx.AsyncClient
) -> None:
    for name in ("alice", "bob"):
        for client in (api, rival_api):
            assert (await client.post("/api/v1/subjects/", json={"subject_id": name})).status_code == 201
    cursor = (await rival_api.get("/api/v1/subjects/", params={"limit": 1})).json()["next_cursor"]
    made_up = base64.urlsafe_b64encode(b"1").decode()
    refused = [await api.get("/api/v1/subjects/", params={"cursor": tried}) for tried in (cursor, made_up)]
    assert error_of(refused[0]) == (422, "validation_error")
    assert compared(refused[0]) == compared(refused[1])
    rest = (await rival_api.get("/api/v1/subjects/", params={"cursor": cursor})).json()
    assert [item["subject_id"] for item in rest["items"]] == ["bob"]
    assert not base64.urlsafe_b64decode(cursor).isdigit()

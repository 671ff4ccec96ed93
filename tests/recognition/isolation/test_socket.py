"""No message on a socket tells a tenant that another one has something, or touches it."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from core.types import Embedding
from recognition.worker import Worker
from tests.recognition.isolation.theirs import Theirs, failures_of, make_theirs, rows_of
from tests.recognition.support import (
    ALICE,
    ANYONE,
    Backend,
    Faces,
    Message,
    asked,
    connect,
    in_database,
    text_frame,
    token,
    until_complete,
)
from wire.asyncapi import document

CASES: dict[str, Callable[[Faces], bytes | dict[str, Any]]] = {
    "BinaryFrame": lambda faces: faces.hopper,
    "FrameMessage": lambda faces: {"type": "frame", **text_frame(faces.hopper, seq=1)},
    "PingMessage": lambda _: {"type": "ping"},
    "CancelMessage": lambda _: {"type": "cancel"},
}
"""Each message a client can send; to those in JSON the other tenant's ids are added."""
SAID = ("type", "code", "message", "success", "reason", "subject_id", "face", "guidance")


def test_every_message_has_a_case() -> None:
    from_client = document()["operations"]["client"]["messages"]
    assert CASES.keys() == {message["$ref"].rpartition("/")[2] for message in from_client}


@pytest.fixture
async def theirs(worker: Worker, rival: Backend, hopper_embedding: Embedding) -> Theirs:
    return await make_theirs(worker, rival, hopper_embedding)


def said(message: Message) -> dict[str, Any]:
    return {name: message[name] for name in SAID if name in message}


@pytest.mark.parametrize("name", CASES)
async def test_ids_of_another_tenant_in_a_message_change_nothing(
    worker: Worker, backend: Backend, rival: Backend, theirs: Theirs, faces: Faces, name: str
) -> None:
    before = await in_database(worker, rows_of, rival.tenant)
    nowhere = replace(theirs, subject_id="ghost", session_id=str(uuid.uuid4()), session_token=secrets.token_urlsafe(32))
    answers = []
    for ids in (theirs, nowhere):
        async with connect(await token(worker, backend, ANYONE)) as socket:
            await socket.greeted()
            message = CASES[name](faces)
            if isinstance(message, bytes):
                await socket.send(message)
            else:
                named = {"session_id": ids.session_id, "subject_id": ids.subject_id, "token": ids.session_token}
                await socket.send_text(json.dumps(message | named))
            answers.append(said(await socket.receive()))
    assert answers[0] == answers[1]
    assert await in_database(worker, rows_of, rival.tenant) == before


@pytest.mark.parametrize(
    "secret", ["session_id", "access_token", "decision_token", "api_key", "idempotency_key", "template_id", "key_id"]
)
async def test_only_a_sessions_token_opens_a_socket(
    worker: Worker, rival: Backend, theirs: Theirs, secret: str
) -> None:
    before = await in_database(worker, rows_of, rival.tenant)
    refusals = []
    for tried in (getattr(theirs, secret), secrets.token_urlsafe(32)):
        async with connect(tried) as socket:
            refusals.append((said(await socket.receive()), await socket.closed()))
    assert refusals[0] == refusals[1]
    assert (refusals[0][0]["code"], refusals[0][1]) == ("unknown_token", 4401)
    assert await in_database(worker, rows_of, rival.tenant) == before


async def test_nobody_is_recognised_by_another_tenants_templates(
    worker: Worker, backend: Backend, rival: Backend, theirs: Theirs, faces: Faces
) -> None:
    before = await in_database(worker, rows_of, rival.tenant)
    async with connect(await token(worker, backend, ANYONE)) as socket:
        await socket.greeted()
        _, told = await until_complete(socket, faces.hopper)
    assert (told["success"], told["reason"], told["subject_id"]) == (False, "no_match", None)
    assert await in_database(worker, rows_of, rival.tenant) == before
    assert await in_database(worker, failures_of, backend.tenant)


async def test_two_tenants_enrol_one_person_under_one_name_on_one_device(
    worker: Worker, backend: Backend, rival: Backend, theirs: Theirs, faces: Faces
) -> None:
    """Neither the other's lock of name and device nor its template of the same face is in the way."""
    before = await in_database(worker, rows_of, rival.tenant)
    enrolment = asked("enrollment", theirs.subject_id, device_id=theirs.device_id)
    async with connect(await token(worker, backend, enrolment)) as socket:
        await socket.greeted()
        _, told = await until_complete(socket, faces.hopper)
    assert (told["success"], told["subject_id"]) == (True, theirs.subject_id)
    assert await in_database(worker, rows_of, rival.tenant) == before


async def test_a_session_in_progress_is_left_alone_by_one_of_another_tenant(
    worker: Worker, backend: Backend, rival: Backend, faces: Faces
) -> None:
    """One claim, one device, one picture: ending the one session ends the other in no way."""
    mine, other = await token(worker, backend, ALICE), await token(worker, rival, ALICE)
    async with connect(mine) as socket, connect(other) as disturber:
        await socket.greeted()
        await disturber.greeted()
        assert (await socket.ask(faces.hopper))["type"] == "frame_processed"
        await disturber.say("cancel")
        assert (await disturber.receive())["type"] == "enrollment_complete"
        await disturber.closed()
        _, told = await until_complete(socket, faces.hopper)
    assert told["success"]

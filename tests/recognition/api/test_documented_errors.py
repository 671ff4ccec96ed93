"""Every error that an operation answers is in the OpenAPI document, and every documented error occurs."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Any

import httpx
import pytest
from django.utils import timezone
from PIL import Image

from core.liveness.policy import Policy
from core.types import Embedding
from database.calls import DatabaseThreads
from gallery.people import Sample
from jobs.models import Job
from jobs.submitting import NewJob, submit
from recognition.api.openapi.allowances import MAX_IMAGES
from recognition.api.openapi.document import ERROR_CODES
from recognition.management.commands.api_documents import openapi_document
from recognition.models import FailedAttempts
from recognition.sessions import lifecycle
from recognition.streaming.pipeline import SessionStream
from recognition.worker import Worker
from scheduling.executor import Executor
from tenants.keys import FIRST_KEY, issue_key
from tenants.liveness_policy import policy_of, set_policy
from tenants.models import ApiKey
from tenants.scopes import Scope
from testkit import hostile_pictures
from testkit.clips import astronaut
from testkit.hostile_pictures import encoded
from tests.enrolling import enroll
from tests.recognition.api.test_api import error_of
from tests.recognition.failing import fail
from tests.recognition.isolation.theirs import COUNTED, webhook_with_a_delivery
from tests.recognition.support import ALICE, Backend, Faces, http_client
from vocabulary.faces import Action
from vocabulary.jobs import JobStatus, JobType
from wire.errors import Busy, Replaced, Unavailable

BY_THE_SERVER = {"request_timeout", "headers_too_large", "overloaded"}
"""Errors that the server in front answers to any request; tests/server tests them."""

Request = dict[str, Any]


@dataclass(frozen=True)
class Documented:
    """One operation of the OpenAPI document."""

    method: str
    path: str
    told: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.told["operationId"])

    @property
    def errors(self) -> set[tuple[int, str]]:
        return {
            (int(status), code)
            for status, answer in self.told["responses"].items()
            for code in answer.get(ERROR_CODES, ())
        }

    @property
    def takes_body(self) -> bool:
        return "requestBody" in self.told

    @property
    def field(self) -> str | None:
        """The multipart field of the operation's pictures."""
        if not self.takes_body or MAX_IMAGES not in self.told["requestBody"]:
            return None
        properties = self.told["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
        return "images" if "images" in properties else "image"


OPERATIONS = {
    operation.name: operation
    for path, methods in openapi_document()["paths"].items()
    for method, told in methods.items()
    for operation in [Documented(method.upper(), path, told)]
}


@dataclass
class World:
    """A tenant with one object of each kind, a client per key, and the errors answered so far."""

    worker: Worker
    backend: Backend
    faces: Faces
    client: httpx.AsyncClient
    things: dict[str, str]
    seen: set[tuple[int, str]] = field(default_factory=set)

    async def ask(self, operation: Documented, client: httpx.AsyncClient | None = None, **request: Any) -> None:
        """Send a request that must be answered with an error, and record the error."""
        values = self.things | request.pop("values", {})
        url = re.sub(r"{(\w+)}", lambda found: values[found[1]], operation.path)
        response = await (client or self.client).request(operation.method, url, **request)
        assert response.status_code >= 400, f"{operation.name} should have failed: {response.text}"
        self.seen.add(error_of(response))

    async def make(self, function: Callable[..., Any], *args: Any) -> Any:
        return await self.worker.database.run(function, *args)


@pytest.fixture
async def world(worker: Worker, backend: Backend, faces: Faces, astronaut_embedding: Embedding) -> AsyncIterator[World]:
    def make() -> dict[str, str]:
        samples = [Sample(astronaut_embedding, 1.0)]
        (template,) = enroll(backend.tenant, "alice", samples, worker.deciding.gallery, worker.deciding.rules)
        session = lifecycle.create(worker.deciding, backend.tenant, ALICE, None).session
        key = issue_key(backend.tenant, "spare", [Scope.READ]).row
        webhook_id, delivery_id = webhook_with_a_delivery(backend.tenant)
        return {
            "subject_id": "alice",
            "template_id": str(template.public_id),
            "session_id": str(session.pk),
            "key_id": str(key.public_id),
            "job_id": str(submit(backend.tenant, NewJob(JobType.NOOP)).public_id),
            "webhook_id": webhook_id,
            "delivery_id": delivery_id,
            "day": str(COUNTED),
        }

    things = await worker.database.run(make)
    async with http_client(backend.key) as client:
        yield World(worker, backend, faces, client, things)


def usual(operation: Documented, picture: bytes) -> Request:
    """A request that would succeed; tests change parts of it."""
    if operation.field is not None:
        data = {"verify_subject": {"subject_id": "alice"}, "give_feedback": {"correct": "false"}}.get(
            operation.name, {}
        )
        number = 2 if operation.name == "compare_faces" else 1
        return {"files": [(operation.field, ("a.jpg", picture, "image/jpeg"))] * number, "data": data}
    bodies = {
        "create_session": {"kind": "enrollment", "subject_id": "alice", "liveness": "none"},
        "create_subject": {"subject_id": "bob"},
        "update_subject": {"metadata": {}},
        "create_key": {"scopes": ["read"]},
        "create_job": {"type": "noop"},
        "create_webhook": {"url": "https://1.1.1.1/hook"},
        "update_webhook": {"description": "mine"},
    }
    return {"json": bodies[operation.name]} if operation.name in bodies else {}


async def provoke_what_all_give(world: World, operation: Documented, patch: pytest.MonkeyPatch) -> None:
    request = usual(operation, world.faces.astronaut)
    await world.ask(operation, headers={"host": "a b"}, **request)
    await world.ask(operation, headers={"transfer-encoding": "chunked"})
    await world.ask(operation, headers={"content-length": "x"})
    async with http_client(None) as nobody:
        await world.ask(operation, nobody, **request)
    if operation.name == "create_token":
        reader = await world.make(issue_key, world.backend.tenant, "reader", [Scope.READ])
        request = {"json": {"scopes": ["admin"]}}
    else:
        scopes = {scope for needed in operation.told["security"] for scope in needed.get("ApiKey", ())}
        other = next(scope for scope in Scope if scope not in scopes and scope is not Scope.ADMIN)
        reader = await world.make(issue_key, world.backend.tenant, "reader", [other])
    async with http_client(reader.text) as client:
        await world.ask(operation, client, **request)
    with patch.context() as broken:
        broken.setattr(DatabaseThreads, "run", failing(Unavailable("gone", 100)))
        await world.ask(operation, **usual(operation, world.faces.astronaut))
    with patch.context() as broken:
        broken.setattr(DatabaseThreads, "run", failing(RuntimeError("a defect")))
        await world.ask(operation)


def failing(error: Exception) -> Callable[..., Awaitable[Any]]:
    async def run(*_: Any, **__: Any) -> Any:
        raise error

    return run


async def provoke_bad_bodies(world: World, operation: Documented) -> None:
    if operation.takes_body:
        await world.ask(operation, content=b"text", headers={"content-type": "text/plain"})
    if operation.field is not None:
        await world.ask(operation, data={"other": "1"}, files={"other": b"x"})
    elif operation.takes_body:
        await world.ask(operation, content=b"{", headers={"content-type": "application/json"})
        await world.ask(operation, json={"surprise": 1})
    if any(parameter["name"] == "limit" for parameter in operation.told["parameters"]):
        await world.ask(operation, params={"limit": "0"})


@cache
def unusable_pictures() -> list[bytes]:
    """One unusable picture for each error code."""
    picture = Image.fromarray(astronaut()).resize((320, 240))
    huge = Image.new("1", (6_000, 6_000))
    too_complex = next(iter(hostile_pictures.hostile(picture).values()))()
    return [b"no picture", encoded(picture, "GIF"), encoded(huge, "PNG"), too_complex]


async def provoke_bad_pictures(world: World, operation: Documented, patch: pytest.MonkeyPatch) -> None:
    if operation.field is None:
        return
    if operation.name != "add_templates":
        for picture in unusable_pictures():
            await world.ask(operation, **usual(operation, picture))
    if (422, "no_face") in operation.errors:
        await world.ask(operation, **usual(operation, world.faces.nobody))
        await world.ask(operation, **usual(operation, world.faces.both))
        await world.ask(operation, **usual(operation, world.faces.on_its_side))
        await world.ask(operation, **usual(operation, world.faces.masked))
    with patch.context() as crowded:
        crowded.setattr(Executor, "run", failing(Busy("later", 100)))
        await world.ask(operation, **usual(operation, world.faces.astronaut))


async def provoke_what_is_not_there(world: World, operation: Documented) -> None:
    for name in re.findall(r"{(\w+)}", operation.path):
        if name != "subject_id":
            await world.ask(operation, values={name: "x"}, **usual(operation, world.faces.astronaut))
            missing = "2000-01-01" if name == "day" else str(uuid.UUID(int=0))
        elif operation.name == "add_templates":
            missing = "a b"
        else:
            missing = "nobody"
        await world.ask(operation, values={name: missing}, **usual(operation, world.faces.astronaut))


async def provoke_refusals_of_sessions(world: World) -> None:
    operation, tenant = OPERATIONS["create_session"], world.backend.tenant
    await world.ask(operation, json={"kind": "enrollment", "subject_id": "a b"})
    await world.ask(operation, json={"kind": "authentication", "subject_id": "nobody"})
    await ask_without_consent(world, operation, json={"kind": "enrollment", "subject_id": "carol"})
    cannot = {"liveness": "active", "avoid": [str(action) for action in Action]}
    await world.ask(operation, json={"kind": "identification", **cannot})
    same = {"Idempotency-Key": "once"}
    assert (await world.client.post(operation.path, json={"kind": "identification"}, headers=same)).status_code == 201
    await world.ask(operation, json={"kind": "enrollment", "subject_id": "carol"}, headers=same)
    many = [("images", ("a.jpg", world.faces.astronaut, "image/jpeg"))] * 10
    assert (await world.client.post("/api/v1/subjects/alice/templates/", files=many)).status_code == 201
    await world.ask(operation, json={"kind": "enrollment", "subject_id": "alice", "target_samples": 10})
    await world.make(wait_an_hour, world)
    await world.ask(operation, **usual(operation, b""))
    stricter = replace(policy_of(tenant), liveness=Policy.ACTIVE, minimum=Policy.ACTIVE)
    await world.make(set_policy, tenant, stricter)
    await world.ask(operation, json={"kind": "identification", "liveness": "none"})


async def provoke_refusals_of_frames(world: World, patch: pytest.MonkeyPatch) -> None:
    operation = OPERATIONS["add_frame"]
    frame = usual(operation, world.faces.astronaut)
    with patch.context() as taken_over:
        taken_over.setattr(SessionStream, "process", failing(Replaced("a newer connection owns the session")))
        await world.ask(operation, **frame)
    waiting = await world.make(lifecycle.create, world.worker.deciding, world.backend.tenant, ALICE, None)
    await world.make(wait_an_hour, world)
    await world.ask(operation, values={"session_id": str(waiting.session.pk)}, **frame)
    await world.client.delete(f"/api/v1/sessions/{world.things['session_id']}/")
    await world.ask(operation, **frame)


def wait_an_hour(world: World) -> None:
    fail(world.worker, world.backend)
    FailedAttempts.across_tenants.update(waits_until=timezone.now() + timedelta(hours=1))


async def provoke_refusals_of_subjects(world: World) -> None:
    operation = OPERATIONS["create_subject"]
    await world.ask(operation, json={"subject_id": "a b"})
    await world.ask(operation, json={"subject_id": "alice"})


async def provoke_refusals_of_templates(world: World) -> None:
    operation, faces = OPERATIONS["add_templates"], world.faces
    await world.ask(operation, **usual(operation, faces.hopper))
    await world.ask(operation, values={"subject_id": "bob"}, **usual(operation, faces.astronaut))
    await ask_without_consent(world, operation, values={"subject_id": "bob"}, **usual(operation, faces.hopper))
    await world.ask(operation, **usual(operation, faces.nobody))
    many = [("images", ("a.jpg", faces.astronaut, "image/jpeg"))] * 10
    assert (await world.client.post("/api/v1/subjects/alice/templates/", files=many)).status_code == 201
    await world.ask(operation, files=many)


async def provoke_refusals_of_feedback(world: World) -> None:
    operation = OPERATIONS["give_feedback"]
    for session_id in (str(uuid.UUID(int=0)), world.things["session_id"]):
        await world.ask(operation, json={"session_id": session_id, "correct": False})


async def ask_without_consent(world: World, operation: Documented, **request: Any) -> None:
    tenant = world.backend.tenant
    before = await world.make(policy_of, tenant)
    await world.make(set_policy, tenant, replace(before, consent_required=True))
    await world.ask(operation, **request)
    await world.make(set_policy, tenant, before)


async def provoke_refusals_of_audit(world: World) -> None:
    await world.ask(OPERATIONS["read_audit"], params={"subject_id": "nobody"})


async def provoke_refusals_of_verification(world: World) -> None:
    operation = OPERATIONS["verify_subject"]
    await world.client.post("/api/v1/subjects/", json={"subject_id": "bare"})
    for subject_id in ("a b", "nobody", "bare"):
        files = {"image": world.faces.astronaut}
        await world.ask(operation, files=files, data={"subject_id": subject_id})


async def provoke_refusals_of_rotation(world: World) -> None:
    operation = OPERATIONS["rotate_key"]
    rotated = await world.client.post(f"/api/v1/keys/{world.things['key_id']}/rotate/")
    assert rotated.status_code == 201
    await world.ask(operation)


async def provoke_refusals_of_revocation(world: World) -> None:
    default = await world.make(lambda: ApiKey.objects.get(tenant=world.backend.tenant, name=FIRST_KEY))
    await world.ask(OPERATIONS["delete_key"], values={"key_id": str(default.public_id)})


async def provoke_refusals_of_asking(world: World) -> None:
    operation, same = OPERATIONS["create_job"], {"Idempotency-Key": "once"}
    assert (await world.client.post(operation.path, json={"type": "noop"}, headers=same)).status_code == 202
    await world.ask(operation, json={"type": "noop", "priority": "low"}, headers=same)


async def provoke_refusals_of_cancelling(world: World) -> None:
    await world.make(end_the_job, world)
    await world.ask(OPERATIONS["cancel_job"])


async def provoke_refusals_of_retrying(world: World) -> None:
    await world.ask(OPERATIONS["retry_job"])
    await world.make(end_the_job, world)
    await world.ask(OPERATIONS["retry_job"])


def end_the_job(world: World) -> None:
    Job.across_tenants.filter(public_id=world.things["job_id"]).update(status=JobStatus.SUCCEEDED)


async def provoke_refusals_of_new_webhooks(world: World) -> None:
    operation = OPERATIONS["create_webhook"]
    await world.ask(operation, json={"url": "https://127.0.0.1/"})
    for _ in range(9):
        assert (await world.client.post(operation.path, **usual(operation, b""))).status_code == 201
    await world.ask(operation, **usual(operation, b""))


async def provoke_refusals_of_changed_webhooks(world: World) -> None:
    await world.ask(OPERATIONS["update_webhook"], json={"url": "https://127.0.0.1/"})


async def provoke_refusals_of_tests(world: World) -> None:
    await disable(world)
    await world.ask(OPERATIONS["test_webhook"])


def provoke_refusals_of_replays(name: str) -> Callable[[World], Awaitable[None]]:
    async def provoke(world: World) -> None:
        again = f"/api/v1/webhooks/deliveries/{world.things['delivery_id']}/replay/"
        assert (await world.client.post(again)).status_code == 202
        await world.ask(OPERATIONS[name])
        await disable(world)
        await world.ask(OPERATIONS[name])

    return provoke


async def disable(world: World) -> None:
    url = f"/api/v1/webhooks/{world.things['webhook_id']}/"
    assert (await world.client.patch(url, json={"enabled": False})).status_code == 200


REFUSALS: dict[str, Callable[[World], Awaitable[None]]] = {
    "create_session": provoke_refusals_of_sessions,
    "create_subject": provoke_refusals_of_subjects,
    "add_templates": provoke_refusals_of_templates,
    "verify_subject": provoke_refusals_of_verification,
    "give_feedback": provoke_refusals_of_feedback,
    "read_audit": provoke_refusals_of_audit,
    "create_job": provoke_refusals_of_asking,
    "cancel_job": provoke_refusals_of_cancelling,
    "retry_job": provoke_refusals_of_retrying,
    "rotate_key": provoke_refusals_of_rotation,
    "delete_key": provoke_refusals_of_revocation,
    "create_webhook": provoke_refusals_of_new_webhooks,
    "update_webhook": provoke_refusals_of_changed_webhooks,
    "test_webhook": provoke_refusals_of_tests,
    **{name: provoke_refusals_of_replays(name) for name in ("repeat_delivery", "replay_delivery")},
}


@pytest.mark.parametrize("name", OPERATIONS)
async def test_an_operation_answers_every_error_that_is_documented_for_it_and_no_other(
    world: World, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = OPERATIONS[name]
    await provoke_what_all_give(world, operation, monkeypatch)
    await provoke_bad_bodies(world, operation)
    await provoke_bad_pictures(world, operation, monkeypatch)
    await provoke_what_is_not_there(world, operation)
    if name == "add_frame":
        await provoke_refusals_of_frames(world, monkeypatch)
    elif name in REFUSALS:
        await REFUSALS[name](world)
    assert world.seen == {(status, code) for status, code in operation.errors if code not in BY_THE_SERVER}


def test_what_the_server_answers_is_documented_everywhere() -> None:
    for operation in OPERATIONS.values():
        assert {code for _, code in operation.errors} >= BY_THE_SERVER

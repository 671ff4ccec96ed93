"""Every route, message of the socket and command is recorded with its actor, or is named here with the reason why not.

Recorded is each enrolment, decision, read of personal data, and change of keys, policies and locks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from io import StringIO
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command

from audit import actor as actors
from audit.models import AuditEntry
from core.types import Embedding
from database import clock
from face_app.urls import urlpatterns
from gallery.people import Sample
from jobs.models import Job
from jobs.submitting import NewJob, submit
from recognition.models import Session
from recognition.worker import Worker
from tenants.demo import DEMO_TENANT
from tenants.keys import FIRST_KEY, create_tenant
from tenants.models import ApiKey
from testkit.service import REPOSITORY
from tests.audit.tampering import delete_one
from tests.enrolling import enroll
from tests.recognition.api.test_documented_errors import OPERATIONS, Request
from tests.recognition.conftest import Configure
from tests.recognition.failing import LIMIT, fail
from tests.recognition.isolation.theirs import WHO, Theirs, make_theirs
from tests.recognition.support import ANYONE, Backend, Faces, connect, http_client, in_database, token, until_complete
from vocabulary.jobs import JobStatus, JobType
from wire.asyncapi import CLIENT

Ask = Callable[[Theirs, Faces], Request]


@dataclass(frozen=True)
class Unrecorded:
    why: str


Recorded = tuple[str, ...]
"""Kinds of the entries that one call makes, in their order."""

NOTHING_KEPT = Unrecorded("it reads nothing that is stored, and decides about nobody")
NO_PERSON = Unrecorded("it tells of keys or webhooks, not of people, and changes none")
NUMBERS = Unrecorded("it tells numbers of sessions, and names nobody")
BEGINS_ONLY = Unrecorded("it reads nothing and decides nothing: what comes of it is recorded, with who began it")


def nothing(*_: object) -> Request:
    return {}


def picture(name: str, number: int = 1, **data: str) -> Ask:
    return lambda _, faces: {"files": [(name, ("a.jpg", faces.hopper, "image/jpeg"))] * number, "data": data}


ROUTES: dict[str, tuple[Ask, Recorded | Unrecorded]] = {
    "create_token": (nothing, ("token_issued",)),
    "compare_faces": (picture("images", 2), ("compared",)),
    "detect_faces": (picture("image"), NOTHING_KEPT),
    "check_liveness": (picture("image"), NOTHING_KEPT),
    "search_subjects": (picture("image"), ("searched",)),
    "verify_subject": (picture("image", subject_id=WHO), ("verified",)),
    "list_keys": (nothing, NO_PERSON),
    "create_key": (lambda *_: {"json": {"scopes": ["read"]}}, ("key_issued",)),
    "delete_key": (nothing, ("key_revoked",)),
    "rotate_key": (nothing, ("key_rotated",)),
    "read_report": (nothing, ("subject_exported",)),
    "list_jobs": (nothing, ("job_read",)),
    "create_job": (lambda *_: {"json": {"type": "noop"}}, Unrecorded("a job for tests, which touches nobody")),
    "read_job": (nothing, Unrecorded("the job has no result, which would be recorded")),
    "cancel_job": (nothing, ("job_cancelled",)),
    "retry_job": (nothing, ("job_retried",)),
    "create_session": (lambda *_: {"json": {"kind": "identification"}}, BEGINS_ONLY),
    "cancel_session": (nothing, ("decided", "session_read")),
    "read_session": (nothing, ("session_read",)),
    "add_frame": (picture("image"), ("decided",)),  # The lock ends it.
    "give_feedback": (picture("image", correct="false"), ("feedback_given",)),
    "list_subjects": (nothing, ("subject_listed",)),
    "create_subject": (lambda *_: {"json": {"subject_id": "somebody-new"}}, ("subject_created",)),
    "delete_subject": (nothing, ("decided", "subject_erased")),
    "read_subject": (nothing, ("subject_read",)),
    "update_subject": (lambda *_: {"json": {"metadata": {"mine": True}}}, ("subject_changed",)),
    "lift_locks": (nothing, ("unlocked",)),
    "withdraw_consent": (nothing, ("decided", "consent_withdrawn")),
    "read_locks": (nothing, ("locks_read",)),
    "export_subject": (nothing, ("subject_exported",)),
    "read_audit": (nothing, ("audit_read",)),
    "list_outcomes": (nothing, NUMBERS),
    "read_outcomes": (nothing, NUMBERS),
    "list_templates": (nothing, ("templates_read",)),
    "add_templates": (picture("images"), ("enrolled",)),
    "delete_template": (nothing, ("template_erased",)),
    "list_webhooks": (nothing, NO_PERSON),
    "create_webhook": (lambda *_: {"json": {"url": "https://1.1.1.1/hook"}}, ("webhook_created",)),
    "read_webhook": (nothing, NO_PERSON),
    "update_webhook": (lambda *_: {"json": {"description": "mine"}}, ("webhook_changed",)),
    "delete_webhook": (nothing, ("webhook_deleted",)),
    "rotate_webhook": (nothing, ("webhook_secret_rotated",)),
    "test_webhook": (nothing, Unrecorded("what is sent tells of nobody")),
    "list_deliveries": (nothing, Unrecorded("it tells what kind of events were sent when, and of whom none")),
    "replay_delivery": (nothing, ("webhook_replayed",)),
    "repeat_delivery": (nothing, ("webhook_replayed",)),
}
"""What is asked of each operation of the API, beside the ids in its path, and what is recorded."""


def newest() -> int:
    return AuditEntry.across_tenants.order_by("-pk").values_list("pk", flat=True)[0]


def since(last: int) -> list[AuditEntry]:
    return list(AuditEntry.across_tenants.filter(pk__gt=last).order_by("pk"))


def assert_recorded(entries: list[AuditEntry], expected: Recorded | Unrecorded) -> None:
    kinds = tuple(entry.kind for entry in entries)
    assert kinds == (() if isinstance(expected, Unrecorded) else expected)


@pytest.fixture
async def mine(worker: Worker, backend: Backend, hopper_embedding: Embedding) -> Theirs:
    """Somebody with a template, an open session, a decided one and a lock."""
    return await make_theirs(worker, backend, hopper_embedding)


def test_every_operation_is_in_the_table() -> None:
    assert ROUTES.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("name", ROUTES)
async def test_what_an_operation_does_is_recorded_with_the_key(
    api: httpx.AsyncClient, worker: Worker, mine: Theirs, faces: Faces, name: str
) -> None:
    operation, (ask, expected) = OPERATIONS[name], ROUTES[name]
    url = re.sub(r"{(\w+)}", lambda found: mine.id_for(name, found[1]), operation.path)
    last = await in_database(worker, newest)
    answer = await api.request(operation.method, url, **ask(mine, faces))
    assert answer.is_success, answer.text
    entries = await in_database(worker, since, last)
    assert_recorded(entries, expected)
    key = await in_database(worker, lambda: ApiKey.across_tenants.filter(name=FIRST_KEY).earliest("pk"))
    for entry in entries:
        assert (entry.actor_kind, entry.actor_reference) == ("key", str(key.public_id))
        assert entry.request_id == answer.headers["x-request-id"]


SITE: dict[str, Recorded | Unrecorded] = {
    "api/asyncapi.json": NOTHING_KEPT,
    "api/": Unrecorded("the operations above"),
    ".well-known/jwks.json": NO_PERSON,
    "demo/sessions/": BEGINS_ONLY,
    "demo/face/": ("subject_erased",),
    "": NOTHING_KEPT,
}


def test_every_path_of_the_site_is_in_the_table() -> None:
    patterns: list[Any] = urlpatterns
    assert SITE.keys() == {str(one.pattern) for one in patterns}


async def test_what_the_pages_visitors_do_is_recorded_as_theirs(
    worker: Worker, backend: Backend, configure: Configure, faces: Faces
) -> None:
    configure(demo=True)
    await in_database(worker, create_tenant, DEMO_TENANT)
    body = {"kind": "enrollment", "name": "Ada", "liveness": "none"}
    async with http_client(None) as visitor:
        created = (await visitor.post("/demo/sessions/", json=body)).json()
        last = await in_database(worker, newest)
        async with connect(created["token"]) as socket:
            await socket.greeted()
            _, done = await until_complete(socket, faces.astronaut)
        assert (await visitor.delete("/demo/face/", headers=bearer(done["decision_token"]))).status_code == 204
    enrolled, decided, erased = await in_database(worker, since, last)
    assert (enrolled.kind, enrolled.actor_kind, enrolled.actor_reference) == ("enrolled", "session", created["id"])
    assert (decided.kind, decided.details["begun_by"]) == ("decided", "visitor")
    assert ((erased.kind,), erased.actor_kind) == (SITE["demo/face/"], "visitor")


def bearer(credential: str) -> dict[str, str]:
    return {"authorization": f"Bearer {credential}"}


MESSAGES: dict[str, Recorded | Unrecorded] = {
    "FrameMessage": Unrecorded("a frame that decides is recorded as the decision, each other one as nothing"),
    "PingMessage": NOTHING_KEPT,
    "CancelMessage": ("decided",),
}


def test_every_message_of_a_client_is_in_the_table() -> None:
    assert MESSAGES.keys() == {model.__name__ for model in CLIENT}


async def test_what_a_client_does_on_the_socket_is_recorded_as_the_sessions(
    worker: Worker, mine: Theirs, backend: Backend, faces: Faces
) -> None:
    for act in ("cancel", "frame"):
        last = await in_database(worker, newest)
        async with connect(await token(worker, backend, ANYONE)) as socket:
            session = (await socket.greeted())["session_id"]
            await socket.say("ping")
            await socket.receive()
            assert await in_database(worker, since, last) == []
            if act == "cancel":
                await socket.say("cancel")
                await socket.receive()
            else:
                await until_complete(socket, faces.hopper)
        (decided,) = await in_database(worker, since, last)
        assert ((decided.kind,), decided.actor_kind) == (MESSAGES["CancelMessage"], "session")
        assert decided.actor_reference == session == decided.details["session"]
        assert decided.details["success"] is (act == "frame")


MAKES_FILES = Unrecorded("it writes documents or files, and reads no person")
READS_NUMBERS = Unrecorded("it tells nobody anything about people: indexes are made by the service in the same way")
COMMANDS: dict[str, list[tuple[list[str], Recorded | Unrecorded]]] = {
    "api_documents": [([], MAKES_FILES)],
    "configuration_docs": [([], MAKES_FILES)],
    "recommend_workers": [([], MAKES_FILES)],
    "prepare": [([], MAKES_FILES)],
    "backup": [(["FILE"], ("backed_up",))],
    "restore": [(["FILE"], ("restored",))],
    "runserver": [([], Unrecorded("it is the service, whose routes are above"))],
    "rebuild_index": [(["--tenant", "acme"], READS_NUMBERS)],
    "calibrate": [
        (["--tenant", "acme", "--dry-run"], ("gallery_compared",)),
        (["--tenant", "acme", "--forget"], ("policy_changed",)),
    ],
    "outcomes": [(["--tenant", "acme"], NUMBERS)],
    "find_duplicates": [(["--tenant", "acme"], ("gallery_compared", "duplicate_found"))],
    "reembed": [(["--tenant", "acme"], Unrecorded("the gallery is of the embedder in use: nothing is moved"))],
    "retention": [([], ("retention",))],
    "unlock": [(["--tenant", "acme", "--subject", WHO], ("unlocked",))],
    "create_tenant": [(["another"], ("tenant_created", "key_issued"))],
    "keys": [
        (["list", "--tenant", "acme"], NO_PERSON),
        (["issue", "--tenant", "acme"], ("key_issued",)),
        (["rotate", "KEY", "--tenant", "acme"], ("key_rotated",)),
        (["revoke", "KEY", "--tenant", "acme"], ("key_revoked",)),
    ],
    "jobs": [
        *[([action], Unrecorded("it tells of jobs, and changes none")) for action in ("status", "list", "doctor")],
        (["schedules"], NO_PERSON),
        (["capacity"], READS_NUMBERS),
        (["show", "JOB"], ("job_read",)),
        (["scale", "thin", "2"], Unrecorded("it changes processes, and no row")),
        (["replay", "--all"], ("job_retried",)),
        (["purge", "--all", "--yes"], ("retention",)),
    ],
    "set_policy": [(["acme", "--covered-faces", "yes"], ("policy_changed",))],
    "tenants": [
        (["list"], Unrecorded("it counts, and names nobody")),
        (["rename", "acme", "acme-2"], ("tenant_renamed",)),
        (["delete", "acme", "--yes"], Unrecorded("the tenant's trail goes with the tenant")),
    ],
    "rotate_keys": [
        (["--tenant", "acme"], ("template_key_rotated",)),
        (["--tenant", "acme", "--finish"], ("template_key_rotated", "template_key_deleted")),
    ],
    "rotate_signing_key": [([], ("signing_key_rotated",))],
    "verify_audit": [
        (["--tenant", "acme"], Unrecorded("it tells numbers and digests, and would change what it verifies")),
        (["--tenant", "acme", "--begin-anew"], ("audit_begun_anew",)),
    ],
}
NOT_RUN = {"backup", "restore", "api_documents", "configuration_docs", "recommend_workers", "prepare", "runserver"}
CASES = [(name, *case) for name, cases in COMMANDS.items() if name not in NOT_RUN for case in cases]


def test_every_command_is_in_the_table() -> None:
    found = (REPOSITORY / "face_recognition_app").rglob("management/commands/*.py")
    assert COMMANDS.keys() == {path.stem for path in found} - {"__init__"}


def dead_job(backend: Backend) -> str:
    job = submit(backend.tenant, NewJob(JobType.NOOP))
    Job.across_tenants.filter(pk=job.pk).update(status=JobStatus.DEAD, finished_at=clock.now())
    return str(job.public_id)


@pytest.mark.parametrize(
    ("name", "arguments", "expected"), CASES, ids=[" ".join([name, *arguments]) for name, arguments, _ in CASES]
)
def test_what_a_command_does_is_recorded_with_the_systems_user(
    worker: Worker,
    alice: Backend,
    astronaut_embedding: Embedding,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    arguments: list[str],
    expected: Recorded | Unrecorded,
) -> None:
    unchecked = replace(worker.deciding.rules, duplicate_check=False)
    enroll(alice.tenant, WHO, [Sample(astronaut_embedding, 1.0)], worker.deciding.gallery, unchecked)
    fail(worker, alice, LIMIT, subject_id=WHO)
    if name == "retention":
        Session.across_tenants.update(expires_at=clock.now() - timedelta(days=100))
    if "--begin-anew" in arguments:
        delete_one(alice.tenant)
    given = {"KEY": str(ApiKey.objects.get(tenant=alice.tenant).public_id), "JOB": dead_job(alice)}
    last = newest()
    with actors.acting(actors.of_command(name)), suppress(CommandError, SystemExit):
        call_command(name, *[given.get(argument, argument) for argument in arguments], stdout=StringIO())
    entries = since(last)
    assert_recorded(entries, expected)
    actor = actors.of_command(name)
    assert {(entry.actor_kind, entry.actor_reference, entry.actor_name) for entry in entries} <= {
        ("command", name, actor.name)
    }

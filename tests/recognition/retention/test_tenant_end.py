"""Tenants are listed, renamed, and deleted with all their rows."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import jwt
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from core.liveness.policy import Policy
from core.types import Embedding
from database import clock
from gallery.feedback import Source
from gallery.models import Reembedded
from gallery.people import Sample
from jobs.submitting import NewJob, submit
from recognition.deciding import Deciding
from recognition.feedback import give
from recognition.models import Session, SessionProbe
from recognition.outcomes.models import OutcomeSummary
from recognition.retention import tenant_end
from recognition.retention.rounds import PERIODIC_TASKS
from recognition.sessions import lifecycle, lockout, seen_frames
from recognition.sessions.lease import SessionNotFound
from recognition.sessions.lockout import LockoutKey
from recognition.sessions.state import Outcome
from recognition.tokens.signing import DECISION_AUDIENCE
from recognition.worker import Worker
from tenants.keys import find_living_key
from tenants.models import Tenant
from tests.enrolling import enroll
from tests.recognition.api.test_api import error_of
from tests.recognition.conftest import Configure
from tests.recognition.isolation.theirs import webhook_with_a_delivery
from tests.recognition.support import ALICE, ANYONE, Backend, Faces, connect, http_client, in_database, token
from vocabulary.jobs import JobType
from vocabulary.sessions import Reason

FAILED = Outcome(False, Reason.NO_MATCH, None, None)


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("tenants", *arguments, stdout=out)
    return out.getvalue()


def rows_of(tenant: Tenant) -> dict[str, int]:
    """Number of a tenant's rows in every table."""
    found = {}
    for model in apps.get_models():
        for field in model._meta.get_fields():
            if field.concrete and field.related_model is Tenant:
                found[model.__name__] = model._default_manager.filter(**{field.name: tenant.pk}).count()
    return found


def fill(worker: Worker, tenant: Tenant, embedding: Embedding) -> None:
    """Create a row in every table."""
    Tenant.objects.filter(pk=tenant.pk).update(picture_days=30)
    gallery, sample = worker.deciding.gallery, Sample(embedding, 1.0, b"a crop")
    (template,) = enroll(tenant, "grace", [sample], gallery, worker.deciding.rules)
    Reembedded.objects.create(tenant=tenant, template=template, model_id="another", vector=b"")
    lifecycle.create(worker.deciding, tenant, ANYONE, None)
    connection = lifecycle.connect(worker.deciding, lifecycle.create(worker.deciding, tenant, ALICE, "key").session)
    lifecycle.decide(worker.deciding, connection, FAILED)
    with transaction.atomic():
        lockout.count_failure(worker.settings, LockoutKey(tenant, "grace", "door"), 1.0)
    seen_frames.remember(tenant, Policy.PASSIVE, ["0123456789abcdef"])
    give(worker.deciding, worker.deciding.gallery, tenant, "grace", embedding, Source(), correct=False)
    OutcomeSummary.objects.create(
        tenant=tenant, day=clock.now().date(), attempts=0, locks=0, enrolments=0, made_at=clock.now()
    )
    submit(tenant, NewJob(JobType.NOOP))
    SessionProbe.objects.create(session=connection.session, tenant=tenant, vector=b"", kept_at=clock.now())
    webhook_with_a_delivery(tenant)


@pytest.fixture
def full(worker: Worker, backend: Backend, rival: Backend, hopper_embedding: Embedding) -> Backend:
    for tenant in (backend.tenant, rival.tenant):
        fill(worker, tenant, hopper_embedding)
    assert min(rows_of(backend.tenant).values()) > 0
    return backend


def test_a_deleted_tenant_leaves_nothing_and_takes_nothing_of_another(full: Backend, rival: Backend) -> None:
    theirs = rows_of(rival.tenant)
    run("delete", "acme", "--yes")
    assert set(rows_of(full.tenant).values()) == {0}
    assert not Tenant.objects.filter(name="acme").exists()
    assert find_living_key(full.key) is None
    assert rows_of(rival.tenant) == theirs
    assert find_living_key(rival.key)


def test_more_rows_than_one_sweep_takes_go_too(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recognition.retention.batches.BATCH", 3)
    monkeypatch.setattr("recognition.retention.batches.BATCHES_AT_ONCE", 2)
    seen_frames.remember(backend.tenant, Policy.PASSIVE, [f"{number:016x}" for number in range(20)])
    tenant_end.delete_tenant(Tenant.objects.get(pk=backend.tenant.pk))  # `backend.tenant` keeps its key.
    assert rows_of(backend.tenant)["SeenFrame"] == 0


def test_a_deletion_that_was_broken_off_has_closed_the_doors_and_can_be_repeated(
    full: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(rows: Any) -> int:
        raise OSError("the disk went away")

    with monkeypatch.context() as broken:
        broken.setattr(tenant_end, "apply_in_batches", fail)
        with pytest.raises(OSError, match="went away"):
            run("delete", "acme", "--yes")
    assert find_living_key(full.key) is None
    run("delete", "acme", "--yes")
    assert set(rows_of(full.tenant).values()) == {0}


async def test_an_open_socket_of_a_deleted_tenant_is_closed_at_its_next_frame(
    worker: Worker, backend: Backend, faces: Faces
) -> None:
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await in_database(worker, tenant_end.delete_tenant, backend.tenant)
        await socket.send(faces.astronaut)
        assert await socket.refused() == ("unknown_token", 4401)


async def test_a_silent_socket_of_a_deleted_tenant_is_closed_at_its_time_limit(
    configure: Configure, backend: Backend
) -> None:
    worker = configure(enrollment_time_limit_s=1.0)
    async with connect(await token(worker, backend)) as socket:
        await socket.greeted()
        await in_database(worker, tenant_end.delete_tenant, backend.tenant)
        assert await socket.refused() == ("unknown_token", 4401)


async def test_the_token_of_a_deleted_session_opens_nothing(worker: Worker, backend: Backend, faces: Faces) -> None:
    session_token = await token(worker, backend)
    session = await in_database(worker, Session.across_tenants.get)
    await in_database(worker, tenant_end.delete_tenant, backend.tenant)
    async with connect(session_token) as socket:
        assert await socket.refused() == ("unknown_token", 4401)
    for credential in (session_token, backend.key):
        async with http_client(credential) as client:
            path = f"/api/v1/sessions/{session.pk}/frames/"
            response = await client.post(path, content=faces.astronaut, headers={"content-type": "image/jpeg"})
        assert error_of(response) == (401, "unauthorized")


def test_a_session_that_was_deleted_meanwhile_decides_nothing(worker: Worker, backend: Backend) -> None:
    session = lifecycle.create(worker.deciding, backend.tenant, ALICE, None).session
    connection = lifecycle.connect(worker.deciding, session)
    tenant_end.delete_tenant(backend.tenant)
    for act in (
        connection.check,
        connection.save,
        lambda: lifecycle.decide(worker.deciding, connection, FAILED),
        lambda: lifecycle.connect(worker.deciding, session),
        lambda: lifecycle.cancel(worker.deciding, session),
    ):
        with pytest.raises(SessionNotFound):
            act()


def test_one_overdue_session_that_was_deleted_does_not_keep_the_others_waiting(
    worker: Worker, backend: Backend, rival: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tenant in (backend.tenant, rival.tenant):
        lifecycle.connect(worker.deciding, lifecycle.create(worker.deciding, tenant, ALICE, None).session)
    Session.across_tenants.update(expires_at=timezone.now() - timedelta(seconds=1))
    expire_if_due = lifecycle.expire_if_due
    first: list[Session] = []

    def expire_late(deciding: Deciding, session: Session) -> Session:
        if not first:
            first.append(session)
            tenant_end.delete_tenant(Tenant.objects.get(pk=session.tenant_id))
        return expire_if_due(deciding, session)

    monkeypatch.setattr(lifecycle, "expire_if_due", expire_late)
    assert lifecycle.expire_overdue(worker.deciding) == 2
    assert [session.status for session in Session.across_tenants.all()] == ["failed"]


def test_galleries_in_memory_forget_a_deleted_tenant(
    worker: Worker, backend: Backend, rival: Backend, hopper_embedding: Embedding
) -> None:
    for tenant in (backend.tenant, rival.tenant):
        enroll(tenant, "grace", [Sample(hopper_embedding, 1.0)], worker.deciding.gallery, worker.deciding.rules)
        assert worker.deciding.gallery.store.search(tenant, [hopper_embedding], 1).templates == 1
    refresh = dict(PERIODIC_TASKS)["bringing galleries in memory up to date"]
    refresh(worker.deciding)
    before = worker.deciding.gallery.store.statistics()
    tenant_end.delete_tenant(backend.tenant)
    refresh(worker.deciding)
    after = worker.deciding.gallery.store.statistics()
    assert (before.galleries - after.galleries, before.templates - after.templates) == (1, 1)
    assert worker.deciding.gallery.store.search(rival.tenant, [hopper_embedding], 1).templates == 1


def test_the_list_tells_what_each_tenant_has(full: Backend, rival: Backend) -> None:
    listed = json.loads(run("list", "--json"))
    assert [tenant["tenant"] for tenant in listed] == ["acme", "rival"]
    assert {key: listed[0][key] for key in ("subjects", "templates", "sessions", "keys")} == {
        "subjects": 1,
        "templates": 1,
        "sessions": 2,
        "keys": 1,
    }
    assert "acme: 1 subjects, 1 templates, 2 sessions, 1 keys" in run("list")


def test_a_renamed_tenant_keeps_its_key_and_signs_with_the_new_name(worker: Worker, backend: Backend) -> None:
    connection = lifecycle.connect(
        worker.deciding, lifecycle.create(worker.deciding, backend.tenant, ALICE, None).session
    )
    assert json.loads(run("rename", "acme", "acme-2", "--json")) == {"tenant": "acme-2"}
    key = find_living_key(backend.key)
    assert key is not None
    assert key.tenant == Tenant.objects.get(name="acme-2")
    decision = lifecycle.decide(worker.deciding, connection, FAILED)
    claims = jwt.decode(decision.token, options={"verify_signature": False}, audience=DECISION_AUDIENCE)
    assert claims["tenant"] == "acme-2"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["rename", "acme", "rival"], "there is a tenant 'rival' already"),
        (["rename", "acme", "A b"], "use 1 to 63"),
        (["rename", "nobody", "b"], "there is no tenant 'nobody'; there is: acme, rival"),
        (["delete", "nobody", "--yes"], "there is no tenant 'nobody'"),
        (["delete", "acme"], "say --yes"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(rival: Backend, arguments: list[str], complaint: str) -> None:
    with pytest.raises(CommandError, match=complaint):
        run(*arguments)
    assert list(Tenant.objects.order_by("name").values_list("name", flat=True)) == ["acme", "rival"]


@pytest.mark.parametrize(("typed", "gone"), [("acme", True), ("rival", False), ("", False)])
def test_who_sits_at_a_terminal_types_the_name(
    rival: Backend, monkeypatch: pytest.MonkeyPatch, typed: str, gone: bool
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: typed)
    if gone:
        assert "deleted acme" in run("delete", "acme")
    else:
        with pytest.raises(CommandError, match="nothing was deleted"):
            run("delete", "acme")
    assert Tenant.objects.filter(name="acme").exists() is not gone

"""What was told of a person is forgotten with the person, and everything after its time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

import database.clock
from audit.models import AuditEntry
from core.types import Embedding
from gallery.people import create_subject, update_subject
from jobs.models import Job
from recognition.retention import erasure, rules, tenant_end
from recognition.worker import Worker
from testkit.receivers import Receiver, answers, receiver
from tests.recognition.conftest import Configure
from tests.recognition.failing import Clock, fail
from tests.recognition.support import Backend, in_database
from tests.webhooks.support import endpoint_at, happened, let_time_pass, statuses, told, work
from webhooks.models import Delivery

PERSON = "alice"


@pytest.fixture
def there(settings: Any) -> Any:
    settings.FACE = settings.FACE.model_copy(update={"webhook_allow": ("127.0.0.1",)})
    with receiver() as found:
        yield found


def tell_much(worker: Worker, alice: Backend, there: Receiver) -> None:
    """Of alice one event that arrived, and one that fails; of bob one."""
    endpoint_at(alice.tenant, there)
    there.will(answers(200, b"thank you for alice"), answers(200), answers(500, b"no alice"))
    fail(worker, alice)
    work()
    happened(alice.tenant, "bob")
    work()
    update_subject(alice.tenant, PERSON, {}, None)
    work()
    assert statuses(alice.tenant) == ["delivered", "delivered", "pending"]


def test_what_was_told_of_a_person_goes_with_the_person(worker: Worker, alice: Backend, there: Receiver) -> None:
    tell_much(worker, alice, there)
    erasure.erase_subject(worker.deciding, alice.tenant, PERSON)
    left = Delivery.objects.filter(tenant=alice.tenant).order_by("pk")
    assert [(row.type, row.subject_id) for row in left] == [("subject.updated", "bob"), ("subject.deleted", PERSON)]
    let_time_pass()
    work()
    assert len(there.received) == 4
    assert not Job.across_tenants.exclude(status="succeeded").exists()


def test_that_a_person_was_erased_is_told_and_then_forgotten(worker: Worker, alice: Backend, there: Receiver) -> None:
    tell_much(worker, alice, there)
    there.will(answers(500, b"alice?"), answers(200, b"goodbye alice"))
    erasure.erase_subject(worker.deciding, alice.tenant, PERSON)
    work()
    assert Delivery.objects.get(tenant=alice.tenant, type="subject.deleted").subject_id == PERSON
    let_time_pass()
    work()
    assert told(there)[-1]["data"] == {"subject_id": PERSON, "why": "requested"}
    assert not [row for row in Delivery.across_tenants.values() if PERSON in str(row)]
    assert Delivery.objects.get(tenant=alice.tenant, type="subject.deleted").status == "delivered"


def test_who_comes_back_is_told_of_after_the_erasure(worker: Worker, alice: Backend, there: Receiver) -> None:
    endpoint_at(alice.tenant, there)
    there.will(answers(500))
    erasure.erase_subject(worker.deciding, alice.tenant, PERSON)
    create_subject(alice.tenant, PERSON, {})
    update_subject(alice.tenant, PERSON, {}, None)
    work()
    let_time_pass()
    work()
    assert [event["type"] for event in told(there)] == ["subject.deleted"] * 2 + ["subject.created", "subject.updated"]
    assert set(statuses(alice.tenant)) == {"delivered"}


def test_an_erasure_that_fails_forgets_nothing_that_was_not_sent(
    worker: Worker, alice: Backend, there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell_much(worker, alice, there)
    with monkeypatch.context() as broken:
        broken.setattr(type(worker.deciding.signer), "sign_receipt", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            erasure.erase_subject(worker.deciding, alice.tenant, PERSON)
    let_time_pass()
    work()
    assert [(event["type"], event["data"]["subject_id"]) for event in told(there)][3:] == [("subject.updated", PERSON)]


def test_deliveries_go_after_their_time(alice: Backend, clock: Clock, configure: Configure, there: Receiver) -> None:
    worker = configure(retain_deliveries_days=10)
    endpoint_at(alice.tenant, there)
    happened(alice.tenant, PERSON)
    clock.advance(timedelta(days=5).total_seconds())
    happened(alice.tenant, PERSON)
    last = AuditEntry.across_tenants.latest("pk").pk
    for days, left in ((4, 2), (2, 1), (5, 0)):
        clock.advance(timedelta(days=days).total_seconds())
        rules.enforce(worker.settings, database.clock.now())
        assert Delivery.across_tenants.count() == left
    recorded = AuditEntry.across_tenants.filter(pk__gt=last, kind="retention")
    assert [entry.details for entry in recorded if "deliver" in str(entry.details)] == []


def test_who_waited_for_a_delivery_that_is_forgotten_goes_on(
    alice: Backend, clock: Clock, configure: Configure, there: Receiver
) -> None:
    worker = configure(retain_deliveries_days=10)
    there.will(answers(500))
    endpoint_at(alice.tenant, there)
    happened(alice.tenant, PERSON, number=1)
    clock.advance(timedelta(days=5).total_seconds())
    happened(alice.tenant, PERSON, number=2)
    work()
    assert [row.waits for row in Delivery.objects.filter(tenant=alice.tenant).order_by("pk")] == [False, True]
    clock.advance(timedelta(days=6).total_seconds())
    rules.enforce(worker.settings, database.clock.now())
    work()
    assert [event["data"]["number"] for event in told(there)] == [1, 2]


def test_nothing_is_left_of_a_deleted_tenant(worker: Worker, alice: Backend, there: Receiver) -> None:
    tell_much(worker, alice, there)
    tenant_end.delete_tenant(alice.tenant)
    assert not Delivery.across_tenants.exists()
    let_time_pass()
    work()
    assert len(there.received) == 3


async def test_an_export_has_what_was_told(
    api: httpx.AsyncClient, worker: Worker, alice: Backend, there: Receiver, astronaut_embedding: Embedding
) -> None:
    await in_database(worker, tell_much, worker, alice, there)
    exported = (await api.get(f"/api/v1/subjects/{PERSON}/export/")).json()["webhook_deliveries"]
    assert [(one["type"], one["status"], one["answers"]) for one in exported] == [
        ("session.failed", "delivered", ["thank you for alice"]),
        ("subject.updated", "pending", ["no alice"]),
    ]
    assert all('"subject_id":"alice"' in one["sent"] for one in exported)

"""A delivery from its event to its end, by its own jobs, against receivers that fail."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest

from audit.models import AuditEntry
from config.job_settings import job_settings
from database import clock
from jobs.models import Job
from jobs.workers import execution
from tenants.keys import create_tenant
from tenants.models import Tenant
from testkit.receivers import Received, Receiver, answers, receiver
from tests.webhooks.support import (
    data_of,
    endpoint_at,
    happened,
    let_time_pass,
    statuses,
    the_delivery,
    told,
    work,
)
from vocabulary.jobs import JobStatus
from vocabulary.webhooks import EventType
from webhooks import deliveries, endpoints, health
from webhooks.endpoints import Changes, NewEndpoint
from webhooks.errors import DeliveryNotFound, NotReplayable, WebhookDisabled
from webhooks.models import Delivery, Endpoint

pytestmark = pytest.mark.usefixtures("allowed")


def is_signed(request: Received, secret: str) -> bool:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    message = b".".join(
        [request.headers[name].encode() for name in ("webhook-id", "webhook-timestamp")] + [request.body]
    )
    expected = "v1," + base64.b64encode(hmac.digest(key, message, "sha256")).decode()
    return expected in request.headers["webhook-signature"].split()


def test_an_event_is_delivered_once_signed(tenant: Tenant, there: Receiver) -> None:
    made = endpoints.create(tenant, NewEndpoint(there.url))
    happened(tenant, "alice", names=["a"])
    work()
    (request,) = there.received
    assert is_signed(request, made.secret)
    assert abs(int(request.headers["webhook-timestamp"]) - clock.now().timestamp()) < 60
    assert request.headers["content-type"] == "application/json"
    event = json.loads(request.body)
    assert event == {
        "type": "subject.updated",
        "timestamp": event["timestamp"],
        "data": {"subject_id": "alice", "names": ["a"]},
    }
    row = the_delivery(tenant)
    assert request.headers["webhook-id"] == str(row.public_id)
    assert (row.status, row.attempts[0]["status_code"], row.attempts[0]["error"]) == ("delivered", 200, "")
    assert Job.objects.get(tenant=tenant).status == JobStatus.SUCCEEDED


def test_a_receiver_that_fails_is_asked_again_with_the_same_id_until_it_has_the_event(
    tenant: Tenant, there: Receiver
) -> None:
    there.will(answers(500, b"later" * 200), answers(503))
    endpoint_at(tenant, there)
    happened(tenant, "alice")
    work()
    assert (statuses(tenant), len(there.received)) == (["pending"], 1)
    assert Job.objects.get(tenant=tenant).status == JobStatus.SCHEDULED
    work()
    assert len(there.received) == 1  # Its time has not come.
    for _ in range(2):
        let_time_pass()
        work()
    assert (statuses(tenant), len(there.received)) == (["delivered"], 3)
    assert len({request.headers["webhook-id"] for request in there.received}) == 1
    assert len({request.body for request in there.received}) == 1
    attempts = the_delivery(tenant).attempts
    assert [attempt["status_code"] for attempt in attempts] == [500, 503, 200]
    assert attempts[0]["answer"] == ("later" * 200)[:500]
    assert Job.objects.get(tenant=tenant).failures == 0


def test_the_waits_are_those_of_the_settings(tenant: Tenant, there: Receiver, allowed: Any) -> None:
    allowed(webhook_retry_s=(5.0, 300.0, 1_800.0))
    there.will(*[answers(500)] * 4)
    endpoint_at(tenant, there)
    happened(tenant, "alice")
    for about in (5, 300, 1_800):
        before = clock.now()
        work()
        job = Job.objects.get(tenant=tenant)
        assert job.run_at is not None
        # It was set at some time between.
        assert (job.run_at - before).total_seconds() >= 0.9 * about
        assert (job.run_at - clock.now()).total_seconds() <= 1.1 * about
        let_time_pass()
    work()
    assert statuses(tenant) == ["dead"]
    assert len(there.received) == 4


def test_what_is_given_up_can_be_sent_again(tenant: Tenant, there: Receiver, allowed: Any) -> None:
    allowed(webhook_retry_s=())
    there.will(answers(500))
    endpoint_at(tenant, there)
    happened(tenant, "alice")
    work()
    row = the_delivery(tenant)
    assert row.status == "dead"
    deliveries.replay(tenant, row.public_id)
    with pytest.raises(NotReplayable):
        deliveries.replay(tenant, row.public_id)
    work()
    assert statuses(tenant) == ["delivered"]
    assert len({request.headers["webhook-id"] for request in there.received}) == 1
    assert len(the_delivery(tenant).attempts) == 2
    assert AuditEntry.objects.filter(tenant=tenant, kind="webhook_replayed").count() == 1


def test_events_of_a_person_arrive_in_order_and_nobody_else_waits(tenant: Tenant, there: Receiver) -> None:
    there.will(answers(500), answers(200), answers(500))
    endpoint_at(tenant, there)
    for number, subject_id in enumerate(["alice", "alice", "bob", "alice", ""]):
        happened(tenant, subject_id, number=number)
    work()  # alice's first fails, bob's arrives, that of nobody fails.
    assert data_of(there, "number") == [0, 2, 4]
    assert statuses(tenant) == ["pending", "pending", "delivered", "pending", "pending"]
    let_time_pass()
    work()
    assert sorted(data_of(there, "number")[3:]) == [0, 1, 3, 4]
    assert [number for number in data_of(there, "number")[3:] if number != 4] == [0, 1, 3]
    assert set(statuses(tenant)) == {"delivered"}
    assert not Job.objects.filter(tenant=tenant).exclude(status=JobStatus.SUCCEEDED).exists()


def test_what_is_given_up_holds_up_nobody_for_longer(tenant: Tenant, there: Receiver, allowed: Any) -> None:
    allowed(webhook_retry_s=())
    there.will(answers(500))
    endpoint_at(tenant, there)
    for number in range(3):
        happened(tenant, "alice", number=number)
    work()
    assert statuses(tenant) == ["dead", "delivered", "delivered"]
    assert data_of(there, "number") == [0, 1, 2]


def test_each_endpoint_has_an_order_of_its_own(tenant: Tenant, there: Receiver) -> None:
    with receiver() as broken:
        broken.will(*[answers(500)] * 3)
        endpoint_at(tenant, broken)
        endpoint_at(tenant, there)
        for number in range(3):
            happened(tenant, "alice", number=number)
        work()
        assert data_of(there, "number") == [0, 1, 2]
        assert data_of(broken, "number") == [0]


def test_a_replay_waits_for_nobody_and_holds_up_nobody(tenant: Tenant, there: Receiver, allowed: Any) -> None:
    allowed(webhook_retry_s=())
    there.will(answers(500))
    endpoint_at(tenant, there)
    happened(tenant, "alice", number=0)
    work()
    allowed(webhook_retry_s=(5.0,))
    there.will(answers(500), answers(200))
    deliveries.replay(tenant, the_delivery(tenant).public_id)
    happened(tenant, "alice", number=1)
    work()
    assert statuses(tenant) == ["pending", "delivered"]


def test_a_job_that_ends_before_its_delivery_ends_it_and_the_next_one_goes_on(
    tenant: Tenant, there: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the worker dies at each try."""
    endpoint_at(tenant, there)
    for number in range(2):
        happened(tenant, "alice", number=number)
    first, second = Job.objects.filter(tenant=tenant).order_by("pk")
    with monkeypatch.context() as broken:
        broken.setenv("MAX_RETRIES", "0")
        broken.setattr("webhooks.sending.sender.post", lambda *_: 1 / 0)
        job_settings.cache_clear()
        execution.execute(second.pk)  # It waits for the first.
        execution.execute(first.pk)
    job_settings.cache_clear()
    first.refresh_from_db()
    assert first.status == JobStatus.DEAD
    assert statuses(tenant) == ["dead", "pending"]
    work()
    assert statuses(tenant) == ["dead", "delivered"]
    assert data_of(there, "number") == [1]


def test_an_endpoint_that_is_gone_is_disabled(tenant: Tenant, there: Receiver) -> None:
    there.will(answers(410))
    made = endpoint_at(tenant, there)
    for _ in range(2):
        happened(tenant, "alice")
    work()
    made.refresh_from_db()
    assert (made.enabled, made.disabled_because) == (False, "gone")
    assert (statuses(tenant), len(there.received)) == (["dead", "dead"], 1)
    (entry,) = AuditEntry.objects.filter(tenant=tenant, kind="webhook_disabled")
    assert entry.details == {"webhook": str(made.public_id), "why": "gone"}
    happened(tenant, "alice")
    assert len(statuses(tenant)) == 2
    first = Delivery.objects.filter(tenant=tenant).earliest("pk")
    with pytest.raises(WebhookDisabled):
        deliveries.replay(tenant, first.public_id)
    endpoints.change(tenant, made.public_id, Changes(enabled=True))
    deliveries.replay(tenant, first.public_id)
    work()
    assert statuses(tenant) == ["delivered", "dead"]


def test_an_endpoint_that_fails_for_days_is_disabled(tenant: Tenant, there: Receiver) -> None:
    there.will(*[answers(500)] * 3)
    made = endpoint_at(tenant, there)
    happened(tenant, "alice")
    work()
    made.refresh_from_db()
    assert (made.failures, made.enabled) == (1, True)
    assert made.failing_since is not None
    Endpoint.objects.filter(tenant=tenant).update(failing_since=clock.now() - timedelta(days=6))
    let_time_pass()
    work()
    made.refresh_from_db()
    assert (made.enabled, made.disabled_because) == (False, "failing")
    assert AuditEntry.objects.filter(tenant=tenant, kind="webhook_disabled").count() == 1
    let_time_pass()
    work()
    assert statuses(tenant) == ["dead"]
    assert len(there.received) == 2


def test_a_success_makes_up_for_failures(tenant: Tenant, there: Receiver) -> None:
    there.will(answers(500))
    made = endpoint_at(tenant, there)
    happened(tenant)
    work()
    happened(tenant)
    work()
    made.refresh_from_db()
    assert (made.failures, made.failing_since, made.rests_until) == (0, None, None)


def test_an_endpoint_that_goes_on_failing_is_tried_by_one_at_a_time(tenant: Tenant, there: Receiver) -> None:
    there.will(*[answers(500)] * 100)
    endpoint_at(tenant, there)
    for _ in range(10):
        happened(tenant)
    work()
    assert len(there.received) == health.RESTS_AFTER
    assert Endpoint.objects.get(tenant=tenant).rests_until is not None
    Endpoint.objects.filter(tenant=tenant).update(rests_until=clock.now() + timedelta(minutes=5))
    for _ in range(3):
        let_time_pass()
        work()
    assert len(there.received) == health.RESTS_AFTER
    Endpoint.objects.filter(tenant=tenant).update(rests_until=clock.now())
    let_time_pass()
    work()
    assert len(there.received) == health.RESTS_AFTER + 1
    there.behaviours.clear()
    Endpoint.objects.filter(tenant=tenant).update(rests_until=clock.now())
    let_time_pass()
    work()
    let_time_pass()
    work()
    assert set(statuses(tenant)) == {"delivered"}


def test_a_new_secret_and_the_old_one_sign_together_for_a_time(tenant: Tenant, there: Receiver) -> None:
    made = endpoints.create(tenant, NewEndpoint(there.url))
    rotated = endpoints.rotate_secret(tenant, made.row.public_id, timedelta(hours=1))
    happened(tenant)
    work()
    assert is_signed(there.received[0], made.secret)
    assert is_signed(there.received[0], rotated.secret)
    Endpoint.objects.filter(tenant=tenant).update(former_until=clock.now())
    happened(tenant)
    work()
    assert not is_signed(there.received[1], made.secret)
    assert is_signed(there.received[1], rotated.secret)


def test_a_secret_that_cannot_be_read_signs_nothing_and_nothing_is_sent(
    tenant: Tenant, there: Receiver, settings: Any
) -> None:
    made = endpoint_at(tenant, there)
    another = endpoint_at(tenant, there)
    happened(tenant)
    Endpoint.objects.filter(tenant=tenant, pk=made.pk).update(secret=bytes(another.secret))
    settings.FACE = settings.FACE.model_copy(update={"secret_key": "another key than that of before, and long"})
    work()
    assert there.received == []
    assert statuses(tenant) == ["pending", "pending"]
    errors = {row.attempts[0]["error"] for row in Delivery.objects.filter(tenant=tenant)}
    assert errors == {"the secret cannot be read: FACE_SECRET_KEY was changed; rotate the secret"}
    settings.FACE = settings.FACE.model_copy(update={"secret_key": ""})
    let_time_pass()
    work()
    assert sorted(statuses(tenant)) == [
        "delivered",
        "pending",
    ]  # What was put in the place of another's secret is none.


def test_the_database_has_no_secret(tenant: Tenant, there: Receiver) -> None:
    made = endpoints.create(tenant, NewEndpoint(there.url))
    key = base64.b64decode(made.secret.removeprefix("whsec_"))
    assert len(key) == 32
    row = Endpoint.objects.get(tenant=tenant)
    assert key not in bytes(row.secret)
    assert endpoints.signing_keys(row) == [key]


def test_addresses_are_checked_at_each_delivery(tenant: Tenant, there: Receiver, allowed: Any) -> None:
    """As when the name of a receiver leads elsewhere since it was given."""
    endpoint_at(tenant, there)
    allowed(webhook_allow=())
    happened(tenant)
    work()
    assert there.received == []
    assert "not public" in the_delivery(tenant).attempts[0]["error"]


def test_a_test_event_goes_to_its_endpoint_alone_whatever_that_wants(tenant: Tenant, there: Receiver) -> None:
    made = endpoint_at(tenant, there, EventType.LOCK_RAISED)
    endpoint_at(tenant, there)
    deliveries.send_test(tenant, made.public_id)
    work()
    assert [(event["type"], event["data"]) for event in told(there)] == [
        ("webhook.test", {"webhook_id": str(made.public_id)})
    ]


def test_a_deleted_endpoint_gets_nothing_more(tenant: Tenant, there: Receiver) -> None:
    made = endpoint_at(tenant, there)
    happened(tenant, "alice")
    endpoints.delete(tenant, made.public_id)
    work()
    assert there.received == []
    assert not Delivery.objects.filter(tenant=tenant).exists()
    assert Job.objects.get(tenant=tenant).status == JobStatus.SUCCEEDED


def test_another_tenants_delivery_is_not_there(tenant: Tenant, there: Receiver) -> None:
    other, _ = create_tenant("other")
    endpoint_at(tenant, there)
    happened(tenant)
    with pytest.raises(DeliveryNotFound):
        deliveries.replay(other, the_delivery(tenant).public_id)

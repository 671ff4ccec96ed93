"""An event exists if and only if the change was committed, and somebody wants it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from config.job_settings import job_settings
from gallery.people import SubjectExists, create_subject
from jobs.models import Job
from jobs.timing import scheduler
from tenants.keys import create_tenant
from tenants.models import Tenant
from testkit.job_workers import until
from testkit.receivers import Receiver
from tests.recognition.support import side_by_side
from tests.webhooks.support import endpoint_at, happened
from vocabulary.jobs import JobStatus
from vocabulary.webhooks import EventType
from webhooks import endpoints, outbox
from webhooks.endpoints import Changes
from webhooks.models import Delivery


def test_a_change_that_is_committed_has_its_event_and_job(tenant: Tenant, there: Receiver) -> None:
    endpoint_at(tenant, there)
    create_subject(tenant, "alice", {})
    row = Delivery.objects.get(tenant=tenant)
    assert json.loads(row.body)["type"] == row.type == "subject.created"
    assert json.loads(row.body)["data"] == {"subject_id": "alice"}
    assert Job.objects.get(tenant=tenant).payload == {"delivery": str(row.public_id)}


def test_a_change_that_is_rolled_back_has_none(tenant: Tenant, there: Receiver) -> None:
    endpoint_at(tenant, there)

    def fail_after_a_change() -> None:
        with transaction.atomic():
            create_subject(tenant, "alice", {})
            assert Delivery.objects.filter(tenant=tenant).exists()
            raise RuntimeError("what comes after it fails")

    with pytest.raises(RuntimeError):
        fail_after_a_change()
    create_subject(tenant, "bob", {})
    with pytest.raises(SubjectExists):
        create_subject(tenant, "bob", {})
    assert list(Delivery.objects.filter(tenant=tenant).values_list("subject_id", flat=True)) == ["bob"]
    assert Job.objects.filter(tenant=tenant).count() == 1


def test_outside_a_transaction_there_is_no_event(tenant: Tenant) -> None:
    with pytest.raises(AssertionError):
        outbox.note(tenant, outbox.Event(EventType.SUBJECT_UPDATED))


def test_only_wanted_events_have_rows(tenant: Tenant, there: Receiver) -> None:
    other, _ = create_tenant("other")
    everything = endpoint_at(tenant, there)
    some = endpoint_at(tenant, there, EventType.SUBJECT_DELETED, EventType.LOCK_RAISED)
    off = endpoint_at(tenant, there)
    endpoints.change(tenant, off.public_id, Changes(enabled=False))
    endpoint_at(other, there, EventType.SESSION_FAILED)
    happened(tenant, "alice", EventType.SUBJECT_UPDATED)
    happened(tenant, "alice", EventType.LOCK_RAISED)
    happened(other, "alice", EventType.LOCK_RAISED)
    found = Delivery.across_tenants.order_by("pk").values_list("endpoint", "type")
    assert list(found) == [
        (everything.pk, "subject.updated"),
        (everything.pk, "lock.raised"),
        (some.pk, "lock.raised"),
    ]


def test_a_broker_that_does_not_answer_holds_up_no_change(
    tenant: Tenant, there: Receiver, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    endpoint_at(tenant, there)
    with socket.create_server(("127.0.0.1", 0)) as silent, monkeypatch.context() as patch:
        silent.setblocking(False)
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        patch.setenv("REDIS_URL", url)
        patch.setattr(settings, "FACE", settings.FACE.model_copy(update={"redis_url": url}))
        job_settings.cache_clear()
        happened(tenant, "alice")
        with pytest.raises(BlockingIOError):
            silent.accept()
    job_settings.cache_clear()
    job = Job.objects.get(tenant=tenant)
    assert (job.status, job.published_at) == (JobStatus.SCHEDULED, None)
    until(lambda: scheduler.queue_due() == 1)


def test_without_endpoints_an_event_costs_one_query(
    tenant: Tenant, django_assert_num_queries: Callable[[int], object]
) -> None:
    with transaction.atomic(), django_assert_num_queries(1):  # type: ignore[attr-defined]
        outbox.note(tenant, outbox.Event(EventType.SUBJECT_UPDATED))


def test_every_change_that_begins_after_an_endpoint_was_made_is_told(tenant: Tenant, there: Receiver) -> None:
    """Many at once, of which each has an event, and none a number that was taken before its turn."""
    endpoint_at(tenant, there)
    names = [f"person-{number}" for number in range(12)]
    made = side_by_side([lambda name=name: create_subject(tenant, name, {}) for name in names])  # type: ignore[misc]
    assert [one for one in made if isinstance(one, Exception)] == []
    assert {row.subject_id for row in Delivery.objects.filter(tenant=tenant)} == set(names)


def test_deleting_an_endpoint_breaks_no_change(tenant: Tenant, there: Receiver) -> None:
    """A change holds the endpoint that it has a delivery for; who deletes it waits, or the change finds it gone."""
    made = [endpoint_at(tenant, there) for _ in range(4)]
    changes = [lambda number=number: create_subject(tenant, f"person-{number}", {}) for number in range(8)]
    deletions = [lambda row=row: endpoints.delete(tenant, row.public_id) for row in made]
    done = side_by_side([*changes[:4], *deletions, *changes[4:]])
    assert [one for one in done if isinstance(one, Exception)] == []
    assert Delivery.objects.filter(tenant=tenant).count() == 0
    assert tenant.subjects.count() == 8


def test_a_change_waits_for_no_other_changes_event(tenant: Tenant, there: Receiver) -> None:
    """Two transactions may hold one endpoint at the same time; on SQLite there is one at a time anyway."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite lets one transaction write")
    endpoint_at(tenant, there)
    with transaction.atomic():
        outbox.note(tenant, outbox.Event(EventType.SESSION_EXPIRED))
        (other,) = side_by_side([lambda: happened(tenant, type_=EventType.SESSION_EXPIRED)])
    assert other is None

"""Changes, deliveries, replays, erasures and deletions of endpoints at the same time: none breaks another."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

from django.db import transaction

from audit.chain import Event, record
from jobs.models import Job
from jobs.workers import execution
from tenants.models import Tenant
from testkit.receivers import Receiver, answers
from tests.recognition.support import side_by_side
from tests.webhooks.support import endpoint_at, happened, let_time_pass, work
from vocabulary.audit import AuditKind
from vocabulary.jobs import JobStatus
from vocabulary.webhooks import DeliveryStatus, EventType
from webhooks import deliveries, endpoints, outbox
from webhooks.endpoints import Changes
from webhooks.errors import WebhookError
from webhooks.models import Delivery, Endpoint

ROUNDS, PEOPLE = 4, ("alice", "bob", "carol")


def change(tenant: Tenant, subject_id: str) -> None:
    with transaction.atomic():
        record(tenant.pk, Event(AuditKind.SUBJECT_CHANGED))
        outbox.note(tenant, outbox.Event(EventType.SUBJECT_UPDATED, {}, subject_id))


def erase(tenant: Tenant, subject_id: str) -> None:
    """What an erasure does of webhooks, in its order."""
    with transaction.atomic():
        record(tenant.pk, Event(AuditKind.SUBJECT_ERASED))
        deliveries.of_subject(tenant, subject_id).delete()
        outbox.note(tenant, outbox.Event(EventType.SUBJECT_DELETED, {}, subject_id))


def replay_all(tenant: Tenant) -> None:
    ended = Delivery.objects.filter(tenant=tenant).exclude(status=DeliveryStatus.PENDING)
    for public_id in list(ended.values_list("public_id", flat=True)[:5]):
        with contextlib.suppress(WebhookError):
            deliveries.replay(tenant, public_id)


def describe(endpoint: Endpoint, words: str) -> None:
    endpoints.change(endpoint.tenant, endpoint.public_id, Changes(description=words))


def queued() -> list[Callable[[], object]]:
    pks = Job.across_tenants.filter(status=JobStatus.QUEUED).order_by("pk").values_list("pk", flat=True)
    return [partial(execution.execute, pk) for pk in pks[:8]]


def test_nothing_breaks_another(tenant: Tenant, there: Receiver, allowed: object) -> None:
    kept = endpoint_at(tenant, there)
    for number in range(ROUNDS):
        there.will(answers(500), answers(200), answers(410), answers(200))
        passing = endpoint_at(tenant, there)
        for subject_id in PEOPLE:
            happened(tenant, subject_id)
        calls: list[Callable[[], object]] = [
            *queued(),
            *[partial(change, tenant, subject_id) for subject_id in PEOPLE],
            partial(erase, tenant, PEOPLE[number % 3]),
            partial(replay_all, tenant),
            partial(describe, kept, str(number)),
            partial(endpoints.delete, tenant, passing.public_id),
        ]
        done = side_by_side(calls)
        assert [one for one in done if isinstance(one, Exception)] == []
        endpoints.change(tenant, kept.public_id, Changes(enabled=True))
        let_time_pass()
    there.behaviours.clear()
    for _ in range(3):
        work()
        let_time_pass()
    left = Delivery.objects.filter(tenant=tenant, endpoint=kept, status=DeliveryStatus.PENDING)
    assert not left.exists()
    assert not Job.across_tenants.exclude(status=JobStatus.SUCCEEDED).exists()
    assert not Job.across_tenants.filter(failures__gt=0).exists()  # As after a deadlock.

"""Does the jobs that deliver, one after the other, in this process; and tells what was received."""

from __future__ import annotations

import json
from typing import Any

from django.db import transaction

from jobs import transitions
from jobs.models import Job
from jobs.workers import execution
from tenants.models import Tenant
from testkit.receivers import Receiver
from vocabulary.jobs import JobStatus
from vocabulary.webhooks import EventType
from webhooks import endpoints, outbox
from webhooks.endpoints import NewEndpoint
from webhooks.models import Delivery, Endpoint


def endpoint_at(tenant: Tenant, where: Receiver, *events: EventType) -> Endpoint:
    return endpoints.create(tenant, NewEndpoint(where.url, events)).row


def happened(tenant: Tenant, subject_id: str = "", type_: EventType = EventType.SUBJECT_UPDATED, **data: Any) -> None:
    with transaction.atomic():
        outbox.note(tenant, outbox.Event(type_, {"subject_id": subject_id, **data}, subject_id))


def work() -> int:
    """Run the jobs that are queued, and those that they make. Returns their number."""
    done = 0
    while pks := list(Job.across_tenants.filter(status=JobStatus.QUEUED).order_by("pk").values_list("pk", flat=True)):
        for pk in pks:
            execution.execute(pk)
        done += len(pks)
    return done


def let_time_pass() -> int:
    """Queue whatever waits for its time."""
    waiting = Job.across_tenants.filter(status=JobStatus.SCHEDULED)
    return transitions.make_due(list(waiting.values_list("pk", flat=True)))


def told(where: Receiver) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in where.received]


def data_of(where: Receiver, name: str) -> list[Any]:
    return [event["data"][name] for event in told(where)]


def statuses(tenant: Tenant) -> list[str]:
    return list(Delivery.objects.filter(tenant=tenant).order_by("pk").values_list("status", flat=True))


def the_delivery(tenant: Tenant) -> Delivery:
    return Delivery.objects.select_related("endpoint").get(tenant=tenant)

"""Noting that something happened, for whoever wants to be told: an event exists if and only if the change does.

Deliveries are rows of the transaction that changes something, and so are their jobs. Where no endpoint wants an event
there is nothing but one query. Endpoints are read in that transaction, so that every change which begins after an
endpoint was made is told to it; of one that was under way it may hear or not.

Where the change is recorded in the audit trail, its event is noted after that: the tenant's chain is locked from then
until the transaction ends, so that a tenant's deliveries are numbered in the order in which they are committed. An
endpoint is locked after the chain by those who delete it, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection

from config.service import service_settings
from database import clock
from jobs.submitting import NewJob, submit_many
from tenants.models import Tenant
from vocabulary.jobs import JobType
from vocabulary.webhooks import EventType
from webhooks.models import Delivery, Endpoint

SCHEDULED_AFTER = timedelta(milliseconds=100)
"""Enough for the job to be one that waits for its time."""

Value = str | int | bool | None | list[str]


@dataclass(frozen=True, slots=True)
class Event:
    """What a tenant is told. `subject_id`: whose order it keeps; empty for nobody's.

    `data` has ids that the tenant knows and words of the API: no picture, vector, similarity, key or token, and nothing
    that a caller with the same scope could not read over REST.
    """

    type: EventType
    data: Mapping[str, Value] = field(default_factory=dict)
    subject_id: str = ""


_WANTED = f"SELECT id, events FROM {Endpoint._meta.db_table} WHERE tenant_id = %s AND enabled"  # noqa: S608


def note(tenant: Tenant, *events: Event) -> None:
    """Note events in the caller's transaction, behind what is recorded in the audit trail."""
    assert connection.in_atomic_block, "an event belongs to the transaction of what happened"
    wanted = {type_: _endpoints_for(tenant, type_) for type_ in dict.fromkeys(event.type for event in events)}
    for event in events:
        if wanted[event.type]:
            add(tenant, wanted[event.type], event)


def add(tenant: Tenant, endpoints: list[int], event: Event) -> list[Delivery]:
    """Make a delivery of the event for each endpoint, with its job, in the caller's transaction."""
    now = clock.now()
    body = _body(event, now)
    rows = Delivery.objects.bulk_create(
        Delivery(
            tenant=tenant,
            endpoint_id=endpoint,
            type=event.type.value,
            subject_id=event.subject_id,
            body=body,
            created_at=now,
        )
        for endpoint in endpoints
    )
    send(tenant, rows)
    return rows


def send(tenant: Tenant, deliveries: list[Delivery], *, from_a_job: bool = False) -> None:
    """Give each delivery a job, in the caller's transaction.

    With a broker it is the scheduler that sends the jobs there, at its next turn, unless this is a job itself: no
    decision about a person waits for a broker that does not answer.
    """
    later = bool(service_settings().redis_url) and not from_a_job
    run_at = clock.now() + SCHEDULED_AFTER if later else None
    submit_many(tenant, [_job_for(row, run_at) for row in deliveries])


def _job_for(delivery: Delivery, run_at: datetime | None) -> NewJob:
    return NewJob(JobType.DELIVER_WEBHOOK, {"delivery": str(delivery.public_id)}, run_at=run_at)


def _endpoints_for(tenant: Tenant, type_: EventType) -> list[int]:
    """Endpoints that want the event, kept from being deleted until the transaction ends.

    Many may hold them so, for which Django has no word.
    """
    lock = " FOR KEY SHARE" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"{_WANTED} ORDER BY id{lock}", [tenant.pk])
        found = [(pk, json.loads(events) if isinstance(events, str) else events) for pk, events in cursor.fetchall()]
    return [pk for pk, events in found if not events or type_.value in events]


def _body(event: Event, now: datetime) -> str:
    told = {"type": event.type.value, "timestamp": now.isoformat(timespec="milliseconds"), "data": dict(event.data)}
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)

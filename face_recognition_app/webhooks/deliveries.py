"""A tenant's deliveries: listed, sent again, ended, and forgotten with the person they tell of."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import QuerySet

from audit.chain import Event as Entry
from audit.chain import record
from config.settings import Settings
from database import clock
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.webhooks import DeliveryStatus, EventType
from webhooks import endpoints, outbox
from webhooks.attempts import Attempt
from webhooks.errors import DeliveryNotFound, NotReplayable, WebhookDisabled
from webhooks.models import Delivery, Endpoint

ATTEMPTS_KEPT = 20
NO_JOB = "the job that delivers it was ended"


def deliveries_of(endpoint: Endpoint) -> QuerySet[Delivery]:
    return Delivery.objects.filter(endpoint=endpoint)


def find(tenant: Tenant, public_id: uuid.UUID, webhook_id: uuid.UUID | None = None) -> Delivery:
    """Raises WebhookNotFound or DeliveryNotFound."""
    rows = Delivery.objects.filter(tenant=tenant, public_id=public_id).select_related("endpoint", "tenant")
    if webhook_id is not None:
        rows = rows.filter(endpoint=endpoints.find(tenant, webhook_id))
    found = rows.first()
    if found is None:
        raise DeliveryNotFound(f"there is no delivery {public_id}")
    return found


def send_test(tenant: Tenant, webhook_id: uuid.UUID) -> Delivery:
    """Raises WebhookNotFound or WebhookDisabled."""
    with transaction.atomic():
        endpoint = endpoints.find(tenant, webhook_id)
        _check_enabled(endpoint)
        event = outbox.Event(EventType.WEBHOOK_TEST, {"webhook_id": str(webhook_id)})
        (row,) = outbox.add(tenant, [endpoint.pk], event)
    return row


def replay(tenant: Tenant, public_id: uuid.UUID, webhook_id: uuid.UUID | None = None) -> Delivery:
    """Send a delivery that has ended once more, with the same id, without waiting for others.

    Raises WebhookNotFound, DeliveryNotFound, WebhookDisabled or NotReplayable.
    """
    with transaction.atomic():
        row = find(tenant, public_id, webhook_id)
        _check_enabled(row.endpoint)
        record(tenant.pk, Entry(AuditKind.WEBHOOK_REPLAYED, None, {"delivery": str(public_id)}))
        ended = (
            Delivery.objects.filter(tenant=tenant, pk=row.pk).exclude(status=DeliveryStatus.PENDING).exclude(body="")
        )
        if not ended.update(
            status=DeliveryStatus.PENDING.value, is_replay=True, waits=False, tries=0, finished_at=None
        ):
            raise NotReplayable("the delivery is under way, or what it said was erased with the person")
        outbox.send(tenant, [row])
    return find(tenant, public_id)


def note(delivery: Delivery, attempt: Attempt, status: DeliveryStatus) -> None:
    """Note a try in the caller's transaction, unless somebody has ended the delivery meanwhile."""
    over = status is not DeliveryStatus.PENDING
    delivery.attempts = [*delivery.attempts, attempt.as_json()][-ATTEMPTS_KEPT:]
    delivery.tries += 1
    delivery.status = status.value
    delivery.finished_at = attempt.at if over else None
    _pending(delivery).update(
        attempts=delivery.attempts,
        tries=delivery.tries,
        status=delivery.status,
        finished_at=delivery.finished_at,
        waits=False,
    )


def forget_if_told(delivery: Delivery) -> None:
    """Forget whom a delivery was about that tells of an erasure, once it has arrived and nobody waits for it."""
    if delivery.type == EventType.SUBJECT_DELETED:
        arrived = Delivery.objects.filter(tenant=delivery.tenant_id, pk=delivery.pk, status=DeliveryStatus.DELIVERED)
        attempts = [{**one, "answer": ""} for one in delivery.attempts]
        arrived.update(subject_id="", body="", attempts=attempts)


def give_up_without_job(tenant: Tenant, public_id: str) -> None:
    """End a delivery whose job was ended before it, in the transaction that does so. Another job goes on with the next
    delivery of the subject."""
    row = Delivery.objects.filter(tenant=tenant, public_id=public_id, status=DeliveryStatus.PENDING).first()
    if row is not None:
        note(row, Attempt.not_made(NO_JOB, clock.now()), DeliveryStatus.DEAD)
        outbox.send(tenant, [row])


def is_held_up(delivery: Delivery) -> bool:
    """Whether an earlier delivery of the same subject has not ended."""
    if delivery.is_replay or not delivery.subject_id:
        return False
    return _line(delivery).filter(pk__lt=delivery.pk, is_replay=False).exists()


def wait_in_line(delivery: Delivery) -> bool:
    """Leave the delivery to the job of the one before it. False when that has ended: go on with it.

    First the delivery says that it waits, then it looks once more; who ends another first commits that, then looks who
    waits. So one of the two sees the other, and which goes on is decided by one statement.
    """
    own = _pending(delivery)
    own.update(waits=True)
    return is_held_up(delivery) or not own.filter(waits=True).update(waits=False)


def go_on_with_next(delivery: Delivery) -> None:
    """Give the next delivery of the subject that waits a job. In no transaction with the end of this one."""
    if not delivery.subject_id:
        return
    with transaction.atomic():
        following = _line(delivery).order_by("pk").filter(waits=True).first()
        if following is not None and _line(delivery).filter(pk=following.pk, waits=True).update(waits=False):
            outbox.send(delivery.tenant, [following], from_a_job=True)


def of_subject(tenant: Tenant, subject_id: str) -> QuerySet[Delivery]:
    """Deliveries that tell of a subject."""
    return Delivery.objects.filter(tenant=tenant, subject_id=subject_id).select_related("endpoint")


def ended_of_subject(tenant: Tenant, subject_id: str) -> QuerySet[Delivery]:
    return of_subject(tenant, subject_id).exclude(status=DeliveryStatus.PENDING)


def old(settings: Settings, now: datetime) -> QuerySet[Delivery]:
    """Deliveries that are kept no longer."""
    return Delivery.across_tenants.filter(created_at__lt=now - timedelta(days=settings.retain_deliveries_days))


def forget_old(rows: QuerySet[Delivery]) -> None:
    """Delete what is kept no longer. Whoever waited for one of these goes on."""
    pending = list(rows.filter(status=DeliveryStatus.PENDING).select_related("tenant"))
    rows.delete()
    for row in pending:
        transaction.on_commit(partial(go_on_with_next, row))


def _pending(delivery: Delivery) -> QuerySet[Delivery]:
    """The delivery's row, while it has not ended."""
    return Delivery.objects.filter(tenant=delivery.tenant_id, pk=delivery.pk, status=DeliveryStatus.PENDING)


def _line(delivery: Delivery) -> QuerySet[Delivery]:
    """Pending deliveries of the same subject to the same endpoint."""
    return Delivery.objects.filter(
        tenant=delivery.tenant_id,
        endpoint=delivery.endpoint_id,
        subject_id=delivery.subject_id,
        status=DeliveryStatus.PENDING,
    )


def _check_enabled(endpoint: Endpoint) -> None:
    if not endpoint.enabled:
        raise WebhookDisabled("the webhook is disabled: enable it first")

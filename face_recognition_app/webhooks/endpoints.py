"""A tenant's endpoints: made, changed, disabled and deleted, each in one transaction that the audit trail records."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet

from audit.chain import Event, record
from database import clock
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.webhooks import Disabled, EventType
from webhooks import secrets
from webhooks.errors import TooManyWebhooks, WebhookNotFound
from webhooks.models import Delivery, Endpoint

MAX_WEBHOOKS = 10
DELETED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """`url` was checked (webhooks.sending.addresses). `events`: names of those that are wanted; empty for all."""

    url: str
    events: Sequence[EventType] = ()
    description: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class WithSecret:
    """An endpoint and its new secret, which cannot be read again later."""

    row: Endpoint
    secret: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What is not None is set."""

    url: str | None = None
    events: Sequence[EventType] | None = None
    description: str | None = None
    enabled: bool | None = None


def endpoints_of(tenant: Tenant) -> QuerySet[Endpoint]:
    return Endpoint.objects.filter(tenant=tenant)


def find(tenant: Tenant, public_id: uuid.UUID) -> Endpoint:
    """Raises WebhookNotFound."""
    found = endpoints_of(tenant).filter(public_id=public_id).first()
    if found is None:
        raise WebhookNotFound(f"there is no webhook {public_id}")
    return found


def create(tenant: Tenant, new: NewEndpoint) -> WithSecret:
    """Raises TooManyWebhooks."""
    with transaction.atomic():
        tenant.lock()
        if endpoints_of(tenant).count() >= MAX_WEBHOOKS:
            raise TooManyWebhooks(f"there are {MAX_WEBHOOKS} webhooks, and may be no more: delete one first")
        row = Endpoint(
            tenant=tenant,
            url=new.url,
            events=_names(new.events),
            description=new.description,
            enabled=new.enabled,
            disabled_because="" if new.enabled else Disabled.REQUESTED.value,
            created_at=clock.now(),
        )
        secret = secrets.new_secret()
        row.secret = secrets.seal(secret, bound_to(row))
        record(tenant.pk, _about(AuditKind.WEBHOOK_CREATED, row))
        row.save(force_insert=True)
    return WithSecret(row, secrets.as_text(secret))


def change(tenant: Tenant, public_id: uuid.UUID, changes: Changes) -> Endpoint:
    """Enabling begins anew: what failed before does not count. Raises WebhookNotFound."""
    with transaction.atomic():
        row = _locked(tenant, public_id)
        if changes.url is not None:
            row.url = changes.url
        if changes.events is not None:
            row.events = _names(changes.events)
        if changes.description is not None:
            row.description = changes.description
        if changes.enabled is not None:
            row.enabled = changes.enabled
            row.disabled_because = "" if changes.enabled else Disabled.REQUESTED.value
            row.failing_since, row.failures, row.rests_until = None, 0, None
        row.save()
    return row


def rotate_secret(tenant: Tenant, public_id: uuid.UUID, overlap: timedelta) -> WithSecret:
    """Give the endpoint a new secret; the present one signs, too, until `overlap` is over. Raises WebhookNotFound."""
    with transaction.atomic():
        row = _locked(tenant, public_id, AuditKind.WEBHOOK_SECRET_ROTATED)
        secret = secrets.new_secret()
        row.former_secret, row.former_until = row.secret, clock.now() + overlap
        row.secret = secrets.seal(secret, bound_to(row))
        row.save(update_fields=["secret", "former_secret", "former_until"])
    return WithSecret(row, secrets.as_text(secret))


def delete(tenant: Tenant, public_id: uuid.UUID) -> None:
    """Delete the endpoint with its deliveries: what was not delivered is not. Raises WebhookNotFound.

    Most rows go in short transactions, so that others write in between. After an interruption another call goes on.
    """
    row = find(tenant, public_id)
    endpoints_of(tenant).filter(pk=row.pk).update(enabled=False, disabled_because=Disabled.REQUESTED.value)
    while _delete_some(Delivery.objects.filter(tenant=tenant, endpoint=row)):
        pass
    with transaction.atomic():
        _locked(tenant, public_id, AuditKind.WEBHOOK_DELETED).delete()


def _delete_some(rows: QuerySet[Delivery]) -> int:
    """Delete rows that nobody holds: two who delete several could wait for each other. Returns how many."""
    with transaction.atomic():
        free = rows.select_for_update(skip_locked=True).order_by("pk")
        held = list(free.values_list("pk", flat=True)[:DELETED_AT_ONCE])
        rows.filter(pk__in=held).delete()
    return len(held)


def disable(endpoint: Endpoint, why: Disabled) -> None:
    """Disable an enabled endpoint, in the caller's transaction."""
    row = endpoints_of(endpoint.tenant).filter(pk=endpoint.pk, enabled=True).first()
    if row is not None:
        record(endpoint.tenant_id, _about(AuditKind.WEBHOOK_DISABLED, row, why.value))
        endpoints_of(endpoint.tenant).filter(pk=row.pk).update(enabled=False, disabled_because=why.value)


def signing_keys(endpoint: Endpoint) -> list[bytes]:
    """The secrets that sign now. Raises SecretUnreadable."""
    sealed = [bytes(endpoint.secret)]
    if endpoint.former_secret is not None and endpoint.former_until is not None:
        sealed += [bytes(endpoint.former_secret)] if endpoint.former_until > clock.now() else []
    return [secrets.unseal(one, bound_to(endpoint)) for one in sealed]


def bound_to(endpoint: Endpoint) -> str:
    return f"webhook {endpoint.public_id} of tenant {endpoint.tenant_id}"


def _locked(tenant: Tenant, public_id: uuid.UUID, kind: AuditKind = AuditKind.WEBHOOK_CHANGED) -> Endpoint:
    """The endpoint, locked until the transaction ends, after the change was recorded: everybody locks the audit trail
    first (webhooks.outbox). Raises WebhookNotFound."""
    record(tenant.pk, _about(kind, find(tenant, public_id)))
    found = endpoints_of(tenant).select_for_update().filter(public_id=public_id).first()
    if found is None:
        raise WebhookNotFound(f"there is no webhook {public_id}")
    return found


def _names(events: Sequence[EventType]) -> list[str]:
    return [event.value for event in EventType if event in set(events)]


def _about(kind: AuditKind, endpoint: Endpoint, why: str = "") -> Event:
    """Without the URL, which may have a token in it."""
    return Event(kind, None, {"webhook": str(endpoint.public_id), **({"why": why} if why else {})})

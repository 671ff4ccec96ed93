"""Extending a tenant's chain, in the transaction of what it records.

The head's row is locked until that transaction ends. It is the last lock that a transaction takes, after sessions, the
subject, the tenant's gallery and counters of failed attempts (gallery.people.lock_subject): an event is recorded when
nothing is left to be locked. Chains of different tenants never wait for each other, and no frame extends one.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import Model

from audit import actor as actors
from audit.models import AuditEntry, AuditHead
from audit.sealing import entry_hash, head_signature, is_signed
from database import clock, rows
from logs import request_id
from logs.advice import warn_once
from vocabulary.audit import AuditKind

logger = logging.getLogger(__name__)

Detail = str | int | bool | None | list[str]

MAX_NAME = 96
TAMPERED = "the head of an audit chain is not as it was signed: run manage.py verify_audit"


class NoChain(Exception):
    """The tenant has no head: it was removed, and what happens now cannot be recorded."""


@dataclass(frozen=True, slots=True)
class Event:
    """What is to be recorded. `reference` stands for a subject; None without one, or for one that has no row."""

    kind: AuditKind
    reference: uuid.UUID | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)


def begin(tenant_id: int) -> None:
    """Make the head of a new tenant's chain, with its first entry."""
    head = AuditHead(tenant_id=tenant_id)
    head.signature = head_signature(head)
    head.save(force_insert=True)
    record(tenant_id, Event(AuditKind.TENANT_CREATED))


def begin_with_tenant(sender: object, instance: Model, created: bool, **_: object) -> None:
    """Begin a chain on `post_save` of a tenant."""
    if created:
        begin(instance.pk)


def record(tenant_id: int, *events: Event) -> AuditHead:
    """Append the events to the tenant's chain in the caller's transaction, or in one of its own; returns the head.

    Raises NoChain.
    """
    context = copy_context()
    return append(tenant_id, [(context, event) for event in events])


def lock_chain(tenant_id: int) -> None:
    """Take the lock of the chain before others, to record in the same transaction."""
    AuditHead.objects.select_for_update(no_key=True).filter(tenant=tenant_id).first()


def append(tenant_id: int, events: Sequence[tuple[Context, Event]]) -> AuditHead:
    """Append events, each with the context that has its actor and its request's id.

    A head that was tampered with is extended without a valid signature: the chain stays broken from there on, and
    `verify_audit` says so, while the service goes on recording. Raises NoChain.
    """
    with transaction.atomic(savepoint=False):
        head = rows.lock(AuditHead, tenant_id=tenant_id)
        if head is None:
            raise NoChain(f"tenant {tenant_id} has no audit chain")
        intact = is_signed(head)
        now = clock.now()
        AuditEntry.objects.bulk_create([context.run(_append, head, event, now) for context, event in events])
        if intact:
            head.signature = head_signature(head)
        else:
            warn_once(logger, TAMPERED)
        head.save(update_fields=["sequence", "hash", "signature"])
    return head


def _append(head: AuditHead, event: Event, now: datetime) -> AuditEntry:
    """The event's entry, not yet saved. The head moves on to it."""
    actor = actors.current.get()
    entry = AuditEntry(
        tenant_id=head.tenant_id,
        sequence=head.sequence + 1,
        at=now,
        kind=event.kind.value,
        reference="" if event.reference is None else event.reference.hex,
        actor_kind=actor.kind.value,
        actor_reference=actor.reference,
        actor_name=actor.name[:MAX_NAME],
        request_id=request_id.current.get(),
        details=dict(event.details),
    )
    head.sequence, head.hash = entry.sequence, entry_hash(entry, head.hash)
    entry.hash = head.hash
    return entry

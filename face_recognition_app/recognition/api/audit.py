"""Endpoint that reads the audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router, Schema

from audit.chain import Event
from audit.models import AuditEntry
from audit.reads import reads
from database.pages import page_before
from gallery import people
from gallery.records.references import reference_of
from recognition.api.auth import caller, needs
from recognition.api.openapi.document import raises
from recognition.api.pages import DEFAULT_LIMIT, Limit, cursor_for, key_in
from recognition.worker import of_request
from tenants.models import Tenant
from tenants.scopes import Scope
from vocabulary.audit import ActorKind, AuditKind, actor_kind_of, kind_of
from vocabulary.errors import ErrorCode

router = Router(tags=["audit"], auth=needs(Scope.ADMIN))


class AuditActor(Schema):
    """`id`: of the key or session, or the command. `name`: beginning and name of the key, or the system's user."""

    kind: ActorKind
    id: str
    name: str


class AuditDetail(Schema):
    """`reference` stands for a person; an export has it, and the receipt of an erasure. Empty when nobody is meant."""

    sequence: int
    at: datetime
    kind: AuditKind
    reference: str
    actor: AuditActor
    request_id: str
    details: dict[str, Any]
    hash: str


class AuditPage(Schema):
    items: list[AuditDetail]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the list is filtered by; None: not by that."""

    kind: AuditKind | None
    subject_id: str | None
    reference: str | None


@router.get("", response=AuditPage, summary="Who did what, newest first")
@raises(ErrorCode.SUBJECT_NOT_FOUND)
async def read_audit(
    request: HttpRequest,
    kind: AuditKind | None = None,
    subject_id: Annotated[str | None, Query(description="Entries about this person.")] = None,
    reference: Annotated[
        str | None,
        Query(pattern="^[0-9a-f]{32}$", description="Entries about the person of this reference, also once erased."),
    ] = None,
    cursor: str | None = None,
    limit: Limit = DEFAULT_LIMIT,
) -> AuditPage:
    chosen = Chosen(kind, subject_id, reference)
    return await of_request(request).database.run(
        _read, caller(request).tenant, chosen, key_in(caller(request).tenant, cursor), limit
    )


def _read(tenant: Tenant, chosen: Chosen, after: int, limit: int) -> AuditPage:
    entries = AuditEntry.objects.filter(tenant=tenant)
    reference = None
    if chosen.subject_id is not None:
        people.find_subject(tenant, chosen.subject_id)
        reference = reference_of(tenant, chosen.subject_id)
        entries = entries.filter(reference=reference.hex if reference else None)
    if chosen.reference is not None:
        entries = entries.filter(reference=chosen.reference)
    if chosen.kind is not None:
        entries = entries.filter(kind=chosen.kind.value)
    found = page_before(entries, after, limit)
    reads.record(tenant.pk, Event(AuditKind.AUDIT_READ, reference, {"entries": len(found.rows)}))
    return AuditPage(items=[detail_of(entry) for entry in found.rows], next_cursor=cursor_for(tenant, found.last_key))


def detail_of(entry: AuditEntry) -> AuditDetail:
    return AuditDetail(
        sequence=entry.sequence,
        at=entry.at,
        kind=kind_of(entry.kind),
        reference=entry.reference,
        actor=AuditActor(kind=actor_kind_of(entry.actor_kind), id=entry.actor_reference, name=entry.actor_name),
        request_id=entry.request_id,
        details=entry.details,
        hash=entry.hash,
    )

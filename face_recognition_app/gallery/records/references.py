"""Random references that stand for subjects in the audit trail. They go with the subject's row."""

from __future__ import annotations

import uuid

from audit.chain import Detail, Event, record
from audit.reads import reads
from gallery.models import Subject
from tenants.models import Tenant
from vocabulary.audit import AuditKind


def reference_of(tenant: Tenant, subject_id: str) -> uuid.UUID | None:
    """The subject's reference, made if an older version stored the row; None without such a subject."""
    if not subject_id:
        return None
    rows = Subject.objects.filter(tenant=tenant, subject_id=subject_id)
    found = rows.values_list("pk", "reference").first()
    if found is None or found[1] is not None:
        return found[1] if found else None
    rows.filter(pk=found[0], reference=None).update(reference=uuid.uuid4())
    return rows.values_list("reference", flat=True).first()


def record_about(tenant: Tenant, subject_id: str, kind: AuditKind, **details: Detail) -> None:
    """Record an event about a subject, which its reference stands for, as the last of the caller's transaction."""
    record(tenant.pk, Event(kind, reference_of(tenant, subject_id), details))


def record_reading(tenant: Tenant, subject_id: str, kind: AuditKind, **details: Detail) -> None:
    """Record that something about a subject was read, and return when that is committed."""
    reads.record(tenant.pk, Event(kind, reference_of(tenant, subject_id), details))


def record_each(tenant: Tenant, subject_ids: list[str], kind: AuditKind) -> None:
    """Record that all of these subjects were seen: one entry for each, or one that names nobody when there is none."""
    rows = Subject.objects.filter(tenant=tenant, subject_id__in=subject_ids)
    known = dict(rows.values_list("subject_id", "reference"))
    references = [known.get(subject_id) or reference_of(tenant, subject_id) for subject_id in subject_ids]
    reads.record(tenant.pk, *[Event(kind, reference) for reference in references or [None]])


def record_duplicate(tenant: Tenant, subject_id: str, other_id: str) -> None:
    """Record that somebody was told which other subject has the subject's face. The subject may have no row."""
    other = reference_of(tenant, other_id)
    details: dict[str, Detail] = {"other": None if other is None else other.hex}
    reads.record(tenant.pk, Event(AuditKind.DUPLICATE_FOUND, reference_of(tenant, subject_id), details))

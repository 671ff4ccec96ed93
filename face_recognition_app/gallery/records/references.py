"""Random references that stand for subjects in the audit trail. They go with the subject's row."""

from __future__ import annotations

import uuid

from audit.chain import Detail, Event, record
from audit.reads import reads
from database import rows
from gallery.models import Subject
from tenants.models import Tenant
from vocabulary.audit import AuditKind


def reference_of(tenant: Tenant, subject_id: str) -> uuid.UUID | None:
    """The subject's reference, made if an older version stored the row; None without such a subject."""
    found = rows.find(Subject, tenant_id=tenant.pk, subject_id=subject_id) if subject_id else None
    return None if found is None else reference_in(found)


def reference_in(subject: Subject) -> uuid.UUID | None:
    """The same of a row that was read. None when it is gone."""
    if subject.reference is not None:
        return subject.reference
    row = Subject.objects.filter(tenant=subject.tenant_id, pk=subject.pk)
    row.filter(reference=None).update(reference=uuid.uuid4())
    return row.values_list("reference", flat=True).first()


def record_about(tenant: Tenant, subject_id: str, kind: AuditKind, **details: Detail) -> None:
    """Record an event about a subject, which its reference stands for, as the last of the caller's transaction."""
    record(tenant.pk, Event(kind, reference_of(tenant, subject_id), details))


def record_reading(tenant: Tenant, subject_id: str, kind: AuditKind, **details: Detail) -> None:
    """Record that something about a subject was read, and return when that is committed."""
    reads.record(tenant.pk, Event(kind, reference_of(tenant, subject_id), details))


def record_each(tenant: Tenant, subject_ids: list[str], kind: AuditKind) -> None:
    """Record that all of these subjects were seen: one entry for each, or one that names nobody when there is none."""
    found = Subject.objects.filter(tenant=tenant, subject_id__in=subject_ids)
    known = dict(found.values_list("subject_id", "reference"))
    references = [known.get(subject_id) or reference_of(tenant, subject_id) for subject_id in subject_ids]
    reads.record(tenant.pk, *[Event(kind, reference) for reference in references or [None]])


def record_duplicate(tenant: Tenant, subject_id: str, other_id: str) -> None:
    """Record that somebody was told which other subject has the subject's face. The subject may have no row."""
    other = reference_of(tenant, other_id)
    details: dict[str, Detail] = {"other": None if other is None else other.hex}
    reads.record(tenant.pk, Event(AuditKind.DUPLICATE_FOUND, reference_of(tenant, subject_id), details))

"""Verifying a tenant's chain against what was changed, removed, inserted, reordered or cut off."""

from __future__ import annotations

from dataclasses import dataclass, replace

from django.db import transaction
from django.db.models import QuerySet

from audit.models import AuditEntry, AuditHead
from audit.sealing import entry_hash, is_signed
from vocabulary.audit import AuditKind

ROWS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """`entries`: number of entries that are right, up to the first broken one. `sequence` and `hash`: of the last of
    them. `fault`: the first thing that is wrong, in words; empty for none. `past`: what was wrong before the chain was
    begun anew, in words; empty for a chain that never was."""

    entries: int
    sequence: int
    hash: str
    fault: str = ""
    past: str = ""


@transaction.atomic
def verify(tenant_id: int) -> Verdict:
    """Compare every entry with its hash, and both ends with the signed head. The chain is not extended meanwhile."""
    head = AuditHead.objects.select_for_update(no_key=True).filter(tenant=tenant_id).first()
    if head is None:
        return Verdict(0, 0, "", "the head of the chain was removed")
    verdict = _verify_entries(entries_of(head), head.anchor_sequence, head.anchor_hash)
    return replace(verdict, fault=verdict.fault or _fault_of_head(head, verdict), past=_past(head))


def entries_of(head: AuditHead) -> QuerySet[AuditEntry]:
    """Entries of the chain in their order, without those of before it was begun anew."""
    return AuditEntry.objects.filter(tenant=head.tenant_id, sequence__gte=head.begun).order_by("sequence")


def _verify_entries(entries: QuerySet[AuditEntry], sequence: int, last_hash: str) -> Verdict:
    first = sequence
    for entry in entries.iterator(ROWS_AT_ONCE):
        fault = fault_of_entry(entry, sequence, last_hash)
        if fault:
            return Verdict(sequence - first, sequence, last_hash, fault)
        sequence, last_hash = entry.sequence, entry.hash
    return Verdict(sequence - first, sequence, last_hash)


def fault_of_entry(entry: AuditEntry, sequence: int, last_hash: str) -> str:
    """Why the entry does not follow the one of `sequence` and `last_hash`, in words; empty when it does."""
    expected = sequence + 1
    if entry.sequence < expected:
        return f"entry {entry.sequence} lies before the first that is kept, {expected}: it was inserted"
    if entry.sequence > expected:
        return f"entry {expected} is missing: the next one is {entry.sequence}"
    if entry.hash != entry_hash(entry, last_hash):
        return (
            f"entry {entry.sequence}, {entry.kind} at {entry.at.isoformat(timespec='seconds')}, does not follow "
            "the one before it: it was changed, inserted, moved, or made with another key"
        )
    return ""


def _fault_of_head(head: AuditHead, verdict: Verdict) -> str:
    if head.sequence > verdict.sequence:
        return f"the end was cut off: the last entry is {verdict.sequence}, and {head.sequence} were recorded"
    if (head.sequence, head.hash) != (verdict.sequence, verdict.hash):
        return f"entry {head.sequence + 1} lies after the recorded end: it was inserted"
    if not is_signed(head):
        return "the head of the chain was changed, or the end cut off, or the chain was made with another key"
    return ""


def _past(head: AuditHead) -> str:
    """What was wrong before the chain was begun anew, as its first entry says, if that is as it was recorded."""
    if not head.begun:
        return ""
    broken = f"the chain was broken before entry {head.begun}"
    began = entries_of(head).filter(sequence=head.begun, kind=AuditKind.AUDIT_BEGUN_ANEW.value).first()
    if began is None or began.hash != entry_hash(began, ""):
        return f"{broken}; the entry that says why was pruned or changed"
    details = began.details
    return (
        f"{broken}: {details['fault']}. {began.actor_name or began.actor_kind} began it anew at "
        f"{began.at.isoformat(timespec='seconds')}; {details['kept']} older entries were kept, of which those after "
        f"{details['whole_until']} prove nothing"
    )

"""Verifying a tenant's chain against what was changed, removed, inserted, reordered or cut off."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from audit.models import AuditEntry, AuditHead
from audit.sealing import entry_hash, is_signed

ROWS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """`entries`: number of entries that are right, up to the first broken one. `sequence` and `hash`: of the last of
    them. `fault`: the first thing that is wrong, in words; empty for none."""

    entries: int
    sequence: int
    hash: str
    fault: str = ""


@transaction.atomic
def verify(tenant_id: int) -> Verdict:
    """Compare every entry with its hash, and both ends with the signed head. The chain is not extended meanwhile."""
    head = AuditHead.objects.select_for_update(no_key=True).filter(tenant=tenant_id).first()
    if head is None:
        return Verdict(0, 0, "", "the head of the chain was removed")
    verdict = _verify_entries(tenant_id, head.anchor_sequence, head.anchor_hash)
    if verdict.fault:
        return verdict
    return Verdict(verdict.entries, verdict.sequence, verdict.hash, _fault_of_head(head, verdict))


def _verify_entries(tenant_id: int, sequence: int, last_hash: str) -> Verdict:
    first, entries = sequence, AuditEntry.objects.filter(tenant=tenant_id).order_by("sequence")
    for entry in entries.iterator(ROWS_AT_ONCE):
        fault = _fault_of_entry(entry, sequence, last_hash)
        if fault:
            return Verdict(sequence - first, sequence, last_hash, fault)
        sequence, last_hash = entry.sequence, entry.hash
    return Verdict(sequence - first, sequence, last_hash)


def _fault_of_entry(entry: AuditEntry, sequence: int, last_hash: str) -> str:
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

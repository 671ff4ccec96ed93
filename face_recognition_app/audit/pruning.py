"""Deleting the oldest entries. The head keeps number and hash of the last of them, so that the rest verifies."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from audit.chain import Event, record
from audit.models import AuditEntry, AuditHead
from audit.sealing import head_signature, is_signed
from vocabulary.audit import AuditKind

ENTRIES_AT_ONCE = 500


def prune(before: datetime) -> int:
    """Delete up to ENTRIES_AT_ONCE entries of each tenant from before the day of `before`; returns their number.

    Whole days, since every pruning is an entry itself.
    """
    before = before.replace(hour=0, minute=0, second=0, microsecond=0)
    old = AuditEntry.across_tenants.filter(at__lt=before)
    tenants = sorted(set(old.values_list("tenant_id", flat=True).distinct()))
    return sum(_prune(tenant_id, before) for tenant_id in tenants)


def _prune(tenant_id: int, before: datetime) -> int:
    """Delete old entries at the beginning of the chain; none while its head is not as it was signed."""
    with transaction.atomic():
        head = AuditHead.objects.select_for_update(no_key=True).filter(tenant=tenant_id).first()
        if head is None or not is_signed(head):
            return 0
        first = AuditEntry.objects.filter(tenant=tenant_id).order_by("sequence")[:ENTRIES_AT_ONCE]
        last = None
        for entry in first.only("sequence", "at", "hash"):
            if entry.at >= before:
                break
            last = entry
        if last is None:
            return 0
        head.anchor_sequence, head.anchor_hash = last.sequence, last.hash
        head.signature = head_signature(head)
        head.save(update_fields=["anchor_sequence", "anchor_hash", "signature"])
        deleted: int
        deleted, _ = AuditEntry.objects.filter(tenant=tenant_id, sequence__lte=last.sequence).delete()
        record(tenant_id, Event(AuditKind.RETENTION, None, {"what": "audit", "rows": deleted}))
    return deleted

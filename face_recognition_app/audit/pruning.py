"""Deleting the oldest entries. The head keeps number and hash of the last of them, so that the rest verifies."""

from __future__ import annotations

import logging
from datetime import datetime
from itertools import takewhile

from django.db import transaction

from audit.chain import Event, record
from audit.models import AuditEntry, AuditHead
from audit.sealing import head_signature, is_signed
from audit.verification import entries_of, fault_of_entry
from logs.advice import warn_once
from vocabulary.audit import AuditKind

logger = logging.getLogger(__name__)

ENTRIES_AT_ONCE = 500
BROKEN = "an audit chain is broken, and its old entries are kept until it is begun anew: run manage.py verify_audit"


class _Broken(Exception):
    """An old entry is not as it was recorded."""


def prune(before: datetime) -> int:
    """Delete up to ENTRIES_AT_ONCE entries of each tenant from before the day of `before`; returns their number.

    Whole days, since every pruning is an entry itself.
    """
    before = before.replace(hour=0, minute=0, second=0, microsecond=0)
    old = AuditEntry.across_tenants.filter(at__lt=before)
    tenants = sorted(set(old.values_list("tenant_id", flat=True).distinct()))
    return sum(_prune(tenant_id, before) for tenant_id in tenants)


def _prune(tenant_id: int, before: datetime) -> int:
    """Delete old entries at the beginning of the chain; none that is not as it was recorded, nor any behind it."""
    with transaction.atomic():
        head = AuditHead.objects.select_for_update(no_key=True).filter(tenant=tenant_id).first()
        if head is None or not is_signed(head):
            return 0
        deleted = _delete_kept(head, before)
        try:
            deleted += _delete_oldest(head, before)
        except _Broken:
            warn_once(logger, BROKEN)
        if deleted:
            record(tenant_id, Event(AuditKind.RETENTION, None, {"what": "audit", "rows": deleted}))
    return deleted


def _delete_kept(head: AuditHead, before: datetime) -> int:
    """Delete old ones of the entries that were there before the chain was begun anew."""
    kept = AuditEntry.objects.filter(tenant=head.tenant_id, sequence__lt=head.begun, at__lt=before)
    oldest = list(kept.order_by("sequence").values_list("pk", flat=True)[:ENTRIES_AT_ONCE])
    deleted, _ = AuditEntry.objects.filter(tenant=head.tenant_id, pk__in=oldest).delete()
    return int(deleted)


def _delete_oldest(head: AuditHead, before: datetime) -> int:
    """Move the anchor behind the last old entry, and delete what is before it.

    Raises _Broken: an entry with an earlier time, or another content, must not be laundered by deleting it.
    """
    for entry in takewhile(lambda entry: entry.at < before, entries_of(head)[:ENTRIES_AT_ONCE]):
        if fault_of_entry(entry, head.anchor_sequence, head.anchor_hash):
            raise _Broken
        head.anchor_sequence, head.anchor_hash = entry.sequence, entry.hash
    deleted, _ = entries_of(head).filter(sequence__lte=head.anchor_sequence).delete()
    if deleted:
        head.signature = head_signature(head)
        head.save(update_fields=["anchor_sequence", "anchor_hash", "signature"])
    return int(deleted)

"""Beginning a broken chain anew, so that what is recorded from now on can be verified again.

The old entries are kept, and the first of the new ones says that they are broken. The head keeps its number for ever,
so that every verification says so, also when that entry was pruned.
"""

from __future__ import annotations

from django.db import transaction

from audit.chain import Detail, Event, record
from audit.models import AuditEntry, AuditHead
from audit.sealing import head_signature
from audit.verification import Verdict
from vocabulary.audit import AuditKind

NUMBERS_END = 2**62
"""An entry with such a number was not made by the service, and the databases' numbers end soon after it."""


class NoRoom(Exception):
    """The number of an entry leaves none for the entries that follow. The message says what to do."""


def begin_anew(tenant_id: int, broken: Verdict) -> None:
    """Begin the tenant's chain anew behind everything that is there. `broken`: what was found wrong with it.

    In the transaction of the verification, which holds the head's lock. Raises NoRoom.
    """
    kept = AuditEntry.objects.filter(tenant=tenant_id)
    with transaction.atomic():
        head = AuditHead.objects.filter(tenant=tenant_id).first() or AuditHead(tenant_id=tenant_id)
        last = max(head.sequence, kept.order_by("-sequence").values_list("sequence", flat=True).first() or 0)
        if last >= NUMBERS_END:
            raise NoRoom(
                f"entry {last} has a number behind which none follows: delete its row in audit_auditentry first"
            )
        details: dict[str, Detail] = {
            "fault": broken.fault,
            "whole_until": broken.sequence,
            "kept": kept.count(),
            "begun_before": kept.filter(kind=AuditKind.AUDIT_BEGUN_ANEW.value).count(),
        }
        head.sequence = head.anchor_sequence = last
        head.hash = head.anchor_hash = ""
        head.begun = last + 1
        head.signature = head_signature(head)
        head.save()
        record(tenant_id, Event(AuditKind.AUDIT_BEGUN_ANEW, None, details))

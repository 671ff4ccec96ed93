"""Erasing people who were not recognised for as long as their tenant's policy says."""

from __future__ import annotations

from datetime import datetime, timedelta

from gallery.people import SubjectNotFound
from recognition.deciding import Deciding
from recognition.retention.erasure import erase_if_unseen, unseen
from tenants.models import Tenant

PEOPLE_AT_ONCE = 50


def erase_unseen(deciding: Deciding, now: datetime) -> int:
    """Erase up to PEOPLE_AT_ONCE people of each tenant that has such a policy; returns their number."""
    erased = 0
    for tenant in Tenant.objects.exclude(unseen_days=None):
        since = now - timedelta(days=tenant.unseen_days or 0)
        found = unseen(tenant, since).order_by("pk").values_list("subject_id", flat=True)
        for subject_id in list(found[:PEOPLE_AT_ONCE]):
            erased += _erase(deciding, tenant, subject_id, since)
    return erased


def _erase(deciding: Deciding, tenant: Tenant, subject_id: str, since: datetime) -> bool:
    try:
        return erase_if_unseen(deciding, tenant, subject_id, since)
    except SubjectNotFound:  # Erased meanwhile, on request.
        return False

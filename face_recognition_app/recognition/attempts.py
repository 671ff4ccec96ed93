"""Failed sessions, counted per subject and per device in the database, where every worker sees them.

Whoever counts or clears holds the tenant's lock, so that decisions on one key come one after the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from ops.settings import Settings
from recognition.models import AttemptKind, FailedAttempts
from recognition.refusals import AttemptsExceeded
from recognition.sweeping import sweep
from tenants.models import Tenant
from wire.codes import Reason

UNCOUNTED = frozenset({Reason.CANCELLED, Reason.TIMEOUT, Reason.ATTEMPTS_EXCEEDED})
"""Failures that say nothing by themselves about who stood there."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a session is about and where it runs; either may be empty and counts nothing then."""

    tenant: Tenant
    subject_id: str
    device_id: str

    def counted(self) -> Iterator[tuple[AttemptKind, str]]:
        if self.subject_id:
            yield AttemptKind.SUBJECT, self.subject_id
        if self.device_id:
            yield AttemptKind.DEVICE, self.device_id


def locked_until(claim: Claim) -> datetime | None:
    """When the last lock on the claim ends; None when there is none."""
    locks = _counters(claim).filter(locked_until__gt=timezone.now()).order_by("-locked_until")
    return locks.values_list("locked_until", flat=True).first()


def ensure_unlocked(claim: Claim) -> None:
    """Raises AttemptsExceeded."""
    until = locked_until(claim)
    if until is not None:
        left_s = math.ceil(time_left_s(until))
        raise AttemptsExceeded(f"too many failed attempts: wait {left_s} s", {"retry_after_s": left_s}, left_s)


def time_left_s(until: datetime) -> float:
    return max(0.0, (until - timezone.now()).total_seconds())


def count_failure(settings: Settings, claim: Claim) -> None:
    now = timezone.now()
    for kind, key in claim.counted():
        counter, _ = FailedAttempts.objects.select_for_update().get_or_create(
            tenant=claim.tenant, kind=kind, key=key, defaults={"stale_at": now}
        )
        _add(counter, settings, now)
        counter.save()


def clear(claim: Claim) -> None:
    _counters(claim).delete()


def forget_stale() -> int:
    """Delete some of the counters that mean nothing any more; how many."""
    return sweep(FailedAttempts.objects.filter(stale_at__lt=timezone.now()))


def _counters(claim: Claim) -> QuerySet[FailedAttempts]:
    ours = Q(kind=AttemptKind.SUBJECT, key=claim.subject_id) | Q(kind=AttemptKind.DEVICE, key=claim.device_id)
    return FailedAttempts.objects.filter(ours, tenant=claim.tenant)


def _add(counter: FailedAttempts, settings: Settings, now: datetime) -> None:
    window_began = now.timestamp() - settings.attempts_window_s
    counter.failed_at = [*(at for at in counter.failed_at if at > window_began), now.timestamp()]
    counter.locked_until = None
    counter.stale_at = now + timedelta(seconds=settings.attempts_window_s)
    if len(counter.failed_at) >= settings.attempts_limit:
        counter.failed_at = []
        counter.locked_until = counter.stale_at = now + timedelta(seconds=settings.attempts_lock_s)

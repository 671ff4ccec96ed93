"""Counting a day's sessions, once, in the night after it."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.db.models import Count, F, QuerySet

from audit.models import AuditEntry
from database import clock
from recognition.models import Session
from recognition.outcomes.models import OutcomeSummary
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.sessions import SessionKind

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)
ATTEMPTS = (SessionKind.AUTHENTICATION, SessionKind.IDENTIFICATION)


@dataclass(frozen=True, slots=True)
class Times:
    """Of a day's decisions, from the first connection; None without any."""

    median_ms: int | None
    p95_ms: int | None

    @classmethod
    def of(cls, taken_ms: Sequence[float]) -> Times:
        in_order = sorted(taken_ms)
        if not in_order:
            return cls(None, None)
        return cls(round(_quantile(in_order, 0.5)), round(_quantile(in_order, 0.95)))


def missing_days(tenant: Tenant, now: datetime, most: int) -> list[date]:
    """The days that are over and have no summary, oldest first: of the last `most`, and of those since the tenant was
    made."""
    today = now.astimezone(UTC).date()
    first = max(tenant.created_at.astimezone(UTC).date(), today - timedelta(days=most))
    there = set(OutcomeSummary.objects.filter(tenant=tenant, day__gte=first).values_list("day", flat=True))
    return [day for day in _days(first, today) if day not in there]


def summarise(tenant: Tenant, day: date) -> OutcomeSummary | None:
    """Store the day's numbers in the caller's transaction. None when they are stored already: a day is counted once,
    since retention takes its sessions away later."""
    if OutcomeSummary.objects.filter(tenant=tenant, day=day).exists():
        return None
    begin = datetime.combine(day, time(), UTC)
    of_day = Session.objects.filter(tenant=tenant, created_at__gte=begin, created_at__lt=begin + DAY)
    times = Times.of(list(_taken_ms(of_day)))
    return OutcomeSummary.objects.create(
        tenant=tenant,
        day=day,
        sessions=_counted(of_day),
        attempts=of_day.filter(kind__in=ATTEMPTS, started_at__isnull=False).count(),
        locks=_recorded(tenant, AuditKind.LOCKED, begin),
        enrolments=_recorded(tenant, AuditKind.ENROLLED, begin),
        median_ms=times.median_ms,
        p95_ms=times.p95_ms,
        made_at=clock.now(),
    )


def log(tenant: Tenant, found: OutcomeSummary) -> None:
    """One line for each tenant and day."""
    logger.info(
        "outcomes of %s on %s: %d sessions, %d attempts, %d enrolments, %d locks, decided in %s ms (p95 %s)",
        tenant.name,
        found.day,
        sum(row[-1] for row in found.sessions),
        found.attempts,
        found.enrolments,
        found.locks,
        found.median_ms,
        found.p95_ms,
    )


def _counted(sessions: QuerySet[Session]) -> list[list[str | int]]:
    by = ("kind", "status", "decision__reason")
    rows = sessions.order_by().values_list(*by).annotate(number=Count("pk")).order_by(*by)
    return [[kind, status, reason or "", number] for kind, status, reason, number in rows]


def _taken_ms(sessions: QuerySet[Session]) -> Iterator[float]:
    decided = sessions.filter(started_at__isnull=False, decision__isnull=False)
    for begun, at in decided.values_list("started_at", F("decision__created_at")).iterator():
        yield max(0.0, (at - begun) / timedelta(milliseconds=1))


def _recorded(tenant: Tenant, kind: AuditKind, begin: datetime) -> int:
    return AuditEntry.objects.filter(tenant=tenant, kind=kind, at__gte=begin, at__lt=begin + DAY).count()


def _quantile(in_order: Sequence[float], share: float) -> float:
    """The nearest rank: the least value that this share of all does not exceed."""
    return in_order[max(0, math.ceil(share * len(in_order)) - 1)]


def _days(first: date, end: date) -> Iterator[date]:
    while first < end:
        yield first
        first += DAY

"""Periodic jobs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import DatabaseError, transaction

from database import clock
from jobs.models import Schedule
from jobs.submitting import NewJob, submit
from vocabulary.jobs import JobType

logger = logging.getLogger(__name__)

MOST_AT_A_TIME = 1_000
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Periodic:
    """`at`: how long after midnight (UTC), or after a whole multiple of `every` since then."""

    name: str
    type: JobType
    every: timedelta
    at: timedelta = timedelta(0)
    payload: dict[str, Any] = field(default_factory=dict)

    def first_after(self, now: datetime) -> datetime:
        midnight = datetime(now.year, now.month, now.day, tzinfo=UTC)
        return _next(midnight + self.at - DAY, self.every, now)


PERIODIC = (
    Periodic("retention", JobType.RETENTION, HOUR, timedelta(minutes=7)),
    Periodic("outcomes", JobType.SUMMARISE_OUTCOMES, DAY, timedelta(minutes=20)),
)
"""What every installation has. Operators change `every_s` and `next_due` with `manage.py jobs schedules`."""


def ensure_schedules() -> None:
    """Make the rows that are missing."""
    now = clock.now()
    for periodic in PERIODIC:
        Schedule.objects.get_or_create(
            name=periodic.name,
            defaults={
                "type": periodic.type,
                "payload": periodic.payload,
                "every_s": periodic.every.total_seconds(),
                "next_due": periodic.first_after(now),
            },
        )


def make_jobs_that_are_due() -> int:
    """Make a job for each time that has come. Returns how many."""
    now, made = clock.now(), 0
    for pk in list(Schedule.objects.filter(next_due__lte=now).values_list("pk", flat=True)):
        try:
            made += _make_jobs_of(pk, now)
        except DatabaseError:
            raise
        except Exception:
            logger.exception("a schedule makes no job: see 'manage.py jobs schedules'")
    return made


def _make_jobs_of(pk: int, now: datetime) -> int:
    with transaction.atomic():
        row = Schedule.objects.select_for_update().get(pk=pk)
        times, row.next_due = _due(row, now)
        row.save(update_fields=["next_due"])
        for due in times:
            key = f"{row.name} {due.isoformat()}"
            submit(None, NewJob(JobType(row.type), row.payload, idempotency_key=key))
    return len(times)


def _due(row: Schedule, now: datetime) -> tuple[list[datetime], datetime]:
    """The times for which a job is to be made now, and the next one after them."""
    every = timedelta(seconds=row.every_s)
    if not row.catches_up:
        return ([row.next_due], _next(row.next_due, every, now)) if row.next_due <= now else ([], row.next_due)
    times: list[datetime] = []
    due = row.next_due
    while due <= now and len(times) < MOST_AT_A_TIME:
        times.append(due)
        due += every
    return times, due


def _next(due: datetime, every: timedelta, now: datetime) -> datetime:
    """The first time after now."""
    return due if due > now else due + every * ((now - due) // every + 1)

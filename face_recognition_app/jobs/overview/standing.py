"""How many jobs wait, run and are dead, what is due, and which scheduler leads: what the database knows."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, Count, DateTimeField, F, Min, When

from database import clock
from jobs.models import DeadLetter, Job, Schedule, SchedulerSeat
from vocabulary.jobs import UNFINISHED, JobStatus, Priority

SHOWN = [*(one.value for one in UNFINISHED), JobStatus.DEAD.value]


@dataclass(slots=True)
class Line:
    """Jobs of one priority and type. `oldest_s`: how long the one waits that could have begun first; None for none."""

    priority: str
    type: str
    queued: int = 0
    scheduled: int = 0
    running: int = 0
    dead: int = 0
    oldest_s: float | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A periodic job. `in_s`: negative when its time has passed."""

    name: str
    type: str
    every_s: float
    next_due: datetime
    in_s: float


@dataclass(frozen=True, slots=True)
class Standing:
    """`leader`: host and process of the scheduler that leads; empty: none does. `unreadable`: messages of the broker
    that nobody could read."""

    at: datetime
    lines: tuple[Line, ...]
    leader: str
    schedules: tuple[Due, ...]
    unreadable: int


def standing() -> Standing:
    now = clock.now()
    return Standing(
        at=now,
        lines=tuple(_lines(now)),
        leader=leader(now),
        schedules=tuple(
            Due(row.name, row.type, row.every_s, row.next_due, (row.next_due - now).total_seconds())
            for row in Schedule.objects.order_by("next_due")
        ),
        unreadable=DeadLetter.objects.filter(job=None).count(),
    )


def leader(now: datetime) -> str:
    held = SchedulerSeat.objects.filter(pk=1, held_until__gte=now).values_list("holder", flat=True)
    return held.first() or ""


def _lines(now: datetime) -> list[Line]:
    waits_since = Case(
        When(run_at__isnull=False, then=F("run_at")),
        When(started_at__isnull=True, then=F("created_at")),
        output_field=DateTimeField(),  # Null for one that waits for its next part.
    )
    rows = Job.across_tenants.filter(status__in=SHOWN).order_by().values_list("priority", "type", "status")
    lines: dict[tuple[str, str], Line] = {}
    for priority, type_, status, number, since in rows.annotate(Count("pk"), since=Min(waits_since)):
        line = lines.setdefault((priority, type_), Line(priority, type_))
        setattr(line, status, number)
        if status == JobStatus.QUEUED and since is not None:
            line.oldest_s = max(0.0, (now - since).total_seconds())
    rank: dict[str, int] = defaultdict(lambda: len(Priority), {one.value: at for at, one in enumerate(Priority)})
    return sorted(lines.values(), key=lambda line: (rank[line.priority], line.type))

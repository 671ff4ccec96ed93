"""What the database knows of jobs, whichever worker has them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Case, Count, DateTimeField, F, Min, Q, When

from database import clock
from jobs.models import DeadLetter, Job, SchedulerSeat
from vocabulary.jobs import UNFINISHED, JobStatus, Priority

UNSENT_AFTER = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Group:
    """Jobs of one type, priority and status. `oldest`: since when the one waits that waits longest to be begun or tried
    again; None when all of them wait for their next part only."""

    type: str
    priority: str
    status: str
    count: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class Facts:
    """`dead`: letters by type of job, "" for messages that nobody could read. `unsent`: jobs that wait and whose id did
    not get to the broker in time."""

    groups: tuple[Group, ...]
    dead: dict[str, int]
    unsent: int
    has_leader: bool
    at: datetime


def facts() -> Facts:
    now = clock.now()
    waits_since = Case(
        When(run_at__isnull=False, then=F("run_at")),
        When(started_at__isnull=True, then=F("created_at")),
        output_field=DateTimeField(),
    )
    unfinished = Job.across_tenants.filter(status__in=[one.value for one in UNFINISHED]).order_by()
    rows = unfinished.values_list("type", "priority", "status").annotate(number=Count("pk"), oldest=Min(waits_since))
    dead = DeadLetter.objects.order_by().values_list("job__type").annotate(Count("pk"))
    unsent = Job.across_tenants.filter(
        status=JobStatus.QUEUED, published_at=None, created_at__lt=now - UNSENT_AFTER
    ).filter(Q(run_at=None) | Q(run_at__lt=now - UNSENT_AFTER))
    return Facts(
        groups=tuple(Group(*row) for row in rows),
        dead={type_ or "": count for type_, count in dead},
        unsent=unsent.count(),
        has_leader=SchedulerSeat.objects.filter(pk=1, held_until__gt=now).exists(),
        at=now,
    )


def queued_by_priority() -> dict[str, int]:
    queued = Job.across_tenants.filter(status=JobStatus.QUEUED).order_by().values_list("priority")
    found = Counter(dict(queued.annotate(Count("pk"))))
    return {priority.value: found[priority] for priority in Priority}

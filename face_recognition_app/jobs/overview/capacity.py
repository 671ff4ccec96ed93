"""How many slots jobs need: throughput times average duration, by the share of time that slots shall be busy."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, DurationField, ExpressionWrapper, F, Sum
from django.db.models.functions import TruncHour

from database import clock
from jobs.kinds import catalogue
from jobs.models import Job
from vocabulary.jobs import FINISHED, JobStatus, JobType

HOUR_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one group of job types asks for. `per_hour`: jobs that ended in the busiest hour."""

    group: str
    per_hour: float
    average_s: float

    def slots(self, utilization: float) -> int:
        """At least one. `utilization`: between 0 and 1."""
        return max(1, math.ceil(self.per_hour / HOUR_S * self.average_s / utilization - 1e-9))


def measured(since: timedelta) -> list[Load]:
    """The busiest hour of each group, by jobs that began and ended since then. A job in parts counts its waits, too."""
    took = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
    ended = Job.across_tenants.filter(
        status__in=FINISHED - {JobStatus.CANCELLED}, finished_at__gte=clock.now() - since, started_at__isnull=False
    )
    hours = ended.order_by().annotate(hour=TruncHour("finished_at")).values_list("hour", "type")
    number: dict[tuple[str, object], int] = defaultdict(int)
    busy_s: dict[tuple[str, object], float] = defaultdict(float)
    for hour, type_, count, duration in hours.annotate(Count("pk"), took=Sum(took)):
        place = group_of(type_), hour
        number[place] += count
        busy_s[place] += duration.total_seconds()
    busiest: dict[str, Load] = {}
    for (group, hour), busy in sorted(busy_s.items(), key=lambda one: one[1]):
        count = number[group, hour]
        busiest[group] = Load(group, count, busy / count)
    return [busiest[group] for group in sorted(busiest)]


def group_of(type_: str) -> str:
    kind = catalogue().get(JobType(type_)) if type_ in set(JobType) else None
    return "general" if kind is None else kind.group

"""Dead jobs: queueing them again, and forgetting them."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet

from audit.chain import Event, record
from database import clock
from jobs import changing
from jobs.models import DeadLetter, Job
from vocabulary.audit import AuditKind
from vocabulary.jobs import JobStatus

AT_A_TIME = 500


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which dead jobs are meant; None: not chosen by that."""

    id: uuid.UUID | None = None
    type: str | None = None
    older_than: timedelta | None = None

    def jobs(self) -> QuerySet[Job]:
        found = Job.across_tenants.filter(status=JobStatus.DEAD)
        if self.id is not None:
            found = found.filter(public_id=self.id)
        if self.type is not None:
            found = found.filter(type=self.type)
        return found if self.older_than is None else found.filter(finished_at__lt=clock.now() - self.older_than)

    def unreadable(self) -> QuerySet[DeadLetter]:
        """Messages that nobody could read, which are of no type and have no id."""
        found = DeadLetter.objects.filter(job=None)
        if self.id is not None or self.type is not None:
            return found.none()
        return found if self.older_than is None else found.filter(at__lt=clock.now() - self.older_than)


def replay(chosen: Chosen) -> int:
    """Queue the dead jobs, with all their tries before them. Returns how many there were."""
    pks = list(chosen.jobs().order_by("pk").values_list("pk", flat=True))
    return sum(
        changing.retry_all(Job.across_tenants.filter(pk__in=pks[first : first + AT_A_TIME], status=JobStatus.DEAD))
        for first in range(0, len(pks), AT_A_TIME)
    )


def purge(chosen: Chosen) -> int:
    """Delete the dead jobs with their letters, which is recorded with each tenant, and messages that nobody could read.
    Returns how many there were."""
    pks = list(chosen.jobs().order_by("pk").values_list("pk", flat=True))
    deleted = chosen.unreadable().delete()[0]
    for first in range(0, len(pks), AT_A_TIME):
        with transaction.atomic():
            dead = Job.across_tenants.filter(pk__in=pks[first : first + AT_A_TIME], status=JobStatus.DEAD)
            held = dict(dead.select_for_update(of=("self",)).values_list("pk", "tenant_id"))
            Job.across_tenants.filter(pk__in=held).delete()
            rows = Counter(tenant for tenant in held.values() if tenant is not None)
            for tenant in sorted(rows):
                record(tenant, Event(AuditKind.RETENTION, None, {"what": "dead_jobs", "rows": rows[tenant]}))
        deleted += len(held)
    return deleted

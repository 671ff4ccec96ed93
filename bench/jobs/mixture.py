"""Jobs of every kind, how each of them should end, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count

from audit.models import AuditEntry
from gallery.models import Subject
from jobs.models import DeadLetter, Job
from jobs.submitting import NewJob
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.jobs import JobStatus, JobType, Priority

LOST = "lost"


@dataclass(frozen=True, slots=True)
class Planned:
    new: NewJob
    end: JobStatus


@dataclass(frozen=True, slots=True)
class Found:
    """See bench.jobs.report.Chaos."""

    ends: Counter[str]
    wrong: int
    erased: int
    erased_twice: int
    other_letters: int


def mixed(tenant: Tenant, number: int) -> list[Planned]:
    """So many jobs, with a person for each that is to erase one."""
    planned = [_nth(one) for one in range(number)]
    people = [one.new.subject_id for one in planned if one.new.type is JobType.ERASE_SUBJECT]
    Subject.objects.bulk_create(Subject(tenant=tenant, subject_id=subject_id) for subject_id in people)
    return planned


def _nth(number: int) -> Planned:
    priority = list(Priority)[number % 3]
    if number % 100 == 0:
        return Planned(NewJob(JobType.FAIL, {"how": "refusal"}, priority), JobStatus.FAILED)
    if number % 100 == 1:
        return Planned(NewJob(JobType.FAIL, {}, priority), JobStatus.DEAD)
    if number % 20 == 2:
        return Planned(NewJob(JobType.FAIL, {"times": 1}, priority), JobStatus.SUCCEEDED)
    if number % 10 == 3:
        return Planned(NewJob(JobType.SLEEP, {"seconds": 0.1}, priority), JobStatus.SUCCEEDED)
    if number % 20 == 4:
        return Planned(NewJob(JobType.ERASE_SUBJECT, {"subject_id": f"person-{number}"}, priority), JobStatus.SUCCEEDED)
    return Planned(NewJob(JobType.NOOP, priority=priority), JobStatus.SUCCEEDED)


def found_of(tenant: Tenant, planned: Sequence[Planned], pks: Sequence[int]) -> Found:
    """What became of the planned jobs, whose rows are given in their order."""
    statuses = dict(Job.objects.filter(tenant=tenant).values_list("pk", "status"))
    ends, wrong = Counter[str](), 0
    to_die = set()
    for pk, one in zip(pks, planned, strict=True):
        status = statuses.get(pk, LOST)
        is_right = status == one.end
        ends[f"{one.new.type} {status}{'' if is_right else f' in place of {one.end}'}"] += 1
        wrong += not is_right
        if one.end is JobStatus.DEAD:
            to_die.add(pk)
    erasures = AuditEntry.objects.filter(tenant=tenant, kind=AuditKind.SUBJECT_ERASED).values("reference")
    times = [entry["times"] for entry in erasures.annotate(times=Count("pk")).order_by()]
    letters = Counter(DeadLetter.objects.filter(job__tenant=tenant).values_list("job_id", flat=True))
    unread = DeadLetter.objects.filter(job=None).count()
    other_letters = unread + sum(count - (pk in to_die) for pk, count in letters.items())
    return Found(ends, wrong, len(times), sum(count > 1 for count in times), other_letters)

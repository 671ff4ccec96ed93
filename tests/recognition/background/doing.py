"""Jobs that are done in the test's own process: to their end, in small parts, or killed again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db.models import F

from audit.actor import Actor, acting
from audit.models import AuditEntry
from config.service import service_settings
from gallery.matching import Gallery
from gallery.people import EnrollmentRules, Sample
from jobs import run as runs
from jobs import transitions
from jobs.models import Job
from jobs.run import Run
from jobs.submitting import NewJob, submit
from jobs.workers.execution import execute
from recognition.deciding import Deciding
from tenants.models import Tenant
from tests.enrolling import enroll
from tests.gallery.faces import RULES, samples
from vocabulary.audit import ActorKind
from vocabulary.jobs import JobStatus, JobType

KEY = Actor(ActorKind.KEY, "7d0a4f0e", "fk_7d0a4f backend")
MOST_RUNS = 200


class Killed(BaseException):
    """Stands for the end of the process: nothing catches it, and nothing is noted."""


def gallery() -> Gallery:
    """As a job has it."""
    return Deciding.load(service_settings()).gallery


def enrol(tenant: Tenant, subject_id: str, *embeddings: Any, rules: EnrollmentRules = RULES) -> None:
    enroll(tenant, subject_id, samples(*embeddings), gallery(), rules)


def enrol_shown(tenant: Tenant, subject_id: str, sample: Sample, by: Gallery) -> None:
    enroll(tenant, subject_id, [sample], by, RULES)


def asked(tenant: Tenant | None, type_: JobType, **payload: Any) -> Job:
    with acting(KEY):
        return submit(tenant, NewJob(type_, payload))


def finished(job: Job) -> Job:
    """The job when it has ended, part after part."""
    for _ in range(MOST_RUNS):
        execute(job.pk)
        job = Job.across_tenants.get(pk=job.pk)
        if job.status != JobStatus.QUEUED:
            return job
    raise AssertionError(f"{job} does not end: {job.status} {job.error} {job.checkpoint}")


def result_of(job: Job) -> Any:
    job = finished(job)
    assert job.status == JobStatus.SUCCEEDED, (job.status, job.error)
    return job.result


def in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is a part of its own."""
    monkeypatch.setattr(runs, "SLICE_S", -1.0)


@contextmanager
def interrupted(after: int, error: BaseException) -> Iterator[None]:
    """Raise the error the `after`th time that a run checks or keeps something."""
    left = after
    with pytest.MonkeyPatch.context() as patch:
        for name in ("check", "save"):
            real = getattr(Run, name)

            def counting(run: Run, real: Callable[[Run], None] = real) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    raise error
                real(run)

            patch.setattr(Run, name, counting)
        yield


def killed_again_and_again(job: Job) -> Job:
    """The job when it has ended, its process having been killed after one moment, then two, then three and so on."""
    kills = 0
    for moments in range(1, MOST_RUNS):
        try:
            with interrupted(moments, Killed()):
                execute(job.pk)
        except Killed:
            kills += 1
            give_back(job)
        job = Job.across_tenants.get(pk=job.pk)
        if job.status != JobStatus.QUEUED:
            assert kills, "it was to be killed"
            return job
    raise AssertionError(f"{job} does not end: {job.status} {job.error} {job.checkpoint}")


def give_back(job: Job) -> None:
    """What becomes of a job whose process has died, without the wait for its lease."""
    row = Job.across_tenants.get(pk=job.pk)
    assert transitions.give_back(row.pk, row.runs)


def overtake(job: Job) -> None:
    """Let another run have the job, as when the lease of this one has ended."""
    assert Job.across_tenants.filter(pk=job.pk).update(runs=F("runs") + 1)


def cancelled_in_the_middle(job: Job, after: int) -> Job:
    """The job, cancelled at the `after`th moment of a run."""
    with interrupted(after, runs.Cancelled("the test has cancelled it")):
        execute(job.pk)
    job = Job.across_tenants.get(pk=job.pk)
    assert job.status == JobStatus.CANCELLED, (job.status, job.error)
    return job


def entries(tenant: Tenant, kind: str) -> list[AuditEntry]:
    """Of the tenant's trail, all of them by whoever has asked for the job."""
    found = list(AuditEntry.objects.filter(tenant=tenant, kind=kind).order_by("sequence"))
    for entry in found:
        actor = (entry.actor_kind, entry.actor_reference, entry.actor_name)
        assert actor == (KEY.kind, KEY.reference, KEY.name), f"{kind} is recorded as {actor}"
    return found

"""An import that is broken off, at whatever moment, goes on and enrols each person once."""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from audit.models import AuditEntry
from config.service import service_settings
from core.features.embedder.profile import EmbedderProfile
from database import clock
from gallery.models import ImportedPicture, Subject, Template
from gallery.thresholds import same_person
from jobs import transitions
from jobs.models import Job
from jobs.run import Run
from jobs.workers import leases
from jobs.workers.execution import execute
from recognition.background.engine import client, places
from recognition.background.engine.messages import Seen
from recognition.background.imports import work
from recognition.background.imports.report import Report
from recognition.worker import Worker
from tenants.models import Tenant
from testkit.clips import SHARED_DATA
from testkit.families import commands
from testkit.job_workers import ended, job_process, until
from testkit.patience import PATIENCE_S
from testkit.servers import redis_server
from tests.conftest import needs_shared_data
from tests.recognition.background.imports.support import (
    EngineHere,
    asked,
    counts,
    done,
    end_engines,
    imported,
    lay,
    report,
    result_of,
    templates,
)
from tests.recognition.support import Faces
from vocabulary.audit import AuditKind
from vocabulary.jobs import JobStatus

PEOPLE = 100


class PowerLost(BaseException):
    """The process is gone in this moment."""


class NthCall:
    """Loses the power at the N-th call of a function, before or after what it does."""

    def __init__(self, function: Callable[..., object], number: int, *, after: bool) -> None:
        self._function, self._left, self._after = function, number, after

    def __call__(self, *arguments: object, **named: object) -> object:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise PowerLost
        found = self._function(*arguments, **named)
        if self._left == 0:
            raise PowerLost
        return found

    def __get__(self, instance: object, owner: object) -> Callable[..., object]:
        return lambda *arguments: self(instance, *arguments)


@pytest.fixture
def crowd(imports: Path, faces: Faces) -> Path:
    """Two people who can be enrolled, and four pictures that are rejected, in three batches."""
    lay(imports / "people", a__1=faces.astronaut, b__1=faces.nobody, c__1=faces.astronaut_again)
    lay(imports / "people", d__1=faces.hopper, e__1=b"broken", f__1=faces.hopper)
    return imports


@pytest.fixture
def engine(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> EngineHere:
    here = EngineHere(worker.engine, worker.limits)
    monkeypatch.setattr(client, "take", lambda *_: here)
    monkeypatch.setattr(work, "BATCH", 2)
    return here


MOMENTS = {
    "people are enrolled": (work, "enroll_many"),
    "rows are reported": (Report, "add"),
    "the progress is kept": (leases, "keep_progress"),
    "the report begins": (Report, "begin"),
    "the report is finished": (Report, "finish"),
    "the success is noted": (transitions, "succeed"),
}


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("moment", MOMENTS)
def test_whatever_it_was_doing(
    tenant: Tenant,
    crowd: Path,
    engine: EngineHere,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    number: int,
    after: bool,
) -> None:
    job = asked(tenant, "people")
    place, name = MOMENTS[moment]
    with monkeypatch.context() as patch:
        patch.setattr(place, name, NthCall(getattr(place, name), number, after=after))
        try:
            execute(job.pk)
        except PowerLost:
            transitions.lose(job.pk, 1, "the worker died", 3)
            transitions.make_due([job.pk])
    job = done(job)
    assert job.status == "succeeded"
    assert counts(job) == (2, 2, 4, 0)
    assert templates(tenant) == {"a": 1, "d": 1}
    assert [row[1:] for row in report(crowd, job).values()] == [
        ("enrolled", ""),
        ("rejected", "no_face"),
        ("rejected", "duplicate_face"),
        ("enrolled", ""),
        ("rejected", "invalid_image"),
        ("rejected", "duplicate_face"),
    ]
    assert AuditEntry.objects.filter(tenant=tenant, kind=AuditKind.ENROLLED).count() == 2
    assert sorted(path.name for path in crowd.iterdir()) == ["people", result_of(job)["report"]]


def test_parts_of_ten_seconds_are_one_import(
    tenant: Tenant, crowd: Path, engine: EngineHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: Counter[int] = Counter()

    def is_over(run: Run) -> bool:
        begun[run.number] += 1
        return begun[run.number] > 2

    monkeypatch.setattr(Run, "is_over", property(is_over))
    monkeypatch.setattr(work, "LONGEST_S", 0.0)
    job = imported(tenant, "people")
    assert (counts(job), job.failures) == ((2, 2, 4, 0), 0)
    assert job.runs > 2
    assert len(report(crowd, job)) == 6
    assert engine.looked_at == 6  # Each once.


def test_a_run_whose_engine_gets_no_time_keeps_what_is_done(
    tenant: Tenant, crowd: Path, engine: EngineHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live streams need every core from the fourth picture on, until the job comes again."""
    job, receive = asked(tenant, "people"), engine.receive
    starved = [True]

    def slow(within_s: float) -> Seen | None:
        return None if starved[0] and engine.looked_at >= 3 else receive(within_s)

    monkeypatch.setattr(engine, "receive", slow)
    monkeypatch.setattr(engine, "_newest_first", False)
    monkeypatch.setattr(work, "ANSWERS_WITHIN_S", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "is_over", property(lambda _: engine.looked_at >= 3))
        execute(job.pk)
    job.refresh_from_db()
    assert (job.status, job.done, job.failures) == (JobStatus.QUEUED, 3, 0)
    assert templates(tenant) == {"a": 1}
    starved[0] = False
    engine.sent.clear()
    engine._pictures.clear()
    assert counts(done(job)) == (2, 2, 4, 0)


def test_a_worker_that_was_thought_dead_spoils_nothing(
    tenant: Tenant, crowd: Path, engine: EngineHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It wakes up in the middle of a batch, when another run has done the job."""
    job = asked(tenant, "people")
    asleep: list[bool] = []

    def sleep(profile: EmbedderProfile) -> float:
        if not asleep:
            asleep.append(True)
            transitions.lose(job.pk, 1, "the worker died", 3)
            transitions.make_due([job.pk])
            done(job)
        return same_person(profile)

    monkeypatch.setattr(work, "same_person", sleep)
    execute(job.pk)
    job.refresh_from_db()
    assert (job.status, job.runs, counts(job)) == ("succeeded", 2, (2, 2, 4, 0))
    assert templates(tenant) == {"a": 1, "d": 1}
    assert len(report(crowd, job)) == 6


def test_a_cancelled_import_stops_and_its_report_says_how_far_it_is(
    tenant: Tenant, crowd: Path, engine: EngineHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = asked(tenant, "people")
    add = Report.add

    def cancel(self: Report, rows: object) -> None:
        add(self, rows)  # type: ignore[arg-type]
        Job.across_tenants.filter(pk=job.pk).update(cancelling=True)

    monkeypatch.setattr(Report, "add", cancel)
    check = Run.check

    def check_at_once(run: Run) -> None:
        run.lease.cancelling = Job.across_tenants.filter(pk=run.job_pk, cancelling=True).exists()
        check(run)

    monkeypatch.setattr(Run, "check", check_at_once)
    job = done(job)
    assert job.status == "cancelled"
    assert 0 < job.done < 6
    [name] = [path.name for path in crowd.iterdir() if path.name != "people"]
    assert len((crowd / name).read_text().splitlines()) == 1 + job.done


def test_the_picture_of_which_the_engine_dies_is_rejected_alone(
    tenant: Tenant, crowd: Path, worker: Worker, faces: Faces, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(crowd / "people", e__1=b"deadly")
    deadly = EngineHere(worker.engine, worker.limits, lambda data: data == b"deadly")

    def take(*_: object) -> EngineHere:
        deadly.sent.clear()
        deadly._pictures.clear()
        return deadly

    monkeypatch.setattr(client, "take", take)
    job = imported(tenant, "people")
    assert report(crowd, job)["e/1.jpg"] == ("e", "rejected", "internal")
    assert (counts(job), job.failures) == ((2, 2, 4, 0), 0)


def test_an_import_waits_for_an_engine_without_a_failure(tenant: Tenant, imports: Path, faces: Faces) -> None:
    lay(imports / "people", alice=faces.astronaut)
    job = asked(tenant, "people")
    slot = places.used_by(service_settings(), 0)
    slot.parent.mkdir(parents=True, exist_ok=True)
    with slot.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        execute(job.pk)
        waiting = Job.across_tenants.get(pk=job.pk)
        assert (waiting.status, waiting.failures) == (JobStatus.SCHEDULED, 0)
        assert waiting.run_at is not None
        assert waiting.run_at > clock.now()
    transitions.make_due([job.pk])
    assert done(job).status == "succeeded"


def test_the_engine_runs_in_the_lowest_class_and_is_kept_for_the_next_job(
    tenant: Tenant, imports: Path, faces: Faces
) -> None:
    lay(imports / "people", alice=faces.astronaut)
    lay(imports / "others", bob=faces.hopper)
    imported(tenant, "people")
    [running] = {process.pid for process in client._started if process.poll() is None}
    for task in Path(f"/proc/{running}/task").iterdir():
        assert os.sched_getscheduler(int(task.name)) == os.SCHED_IDLE
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    imported(tenant, "others")
    assert {process.pid for process in client._started if process.poll() is None} == {running}


def test_the_engine_is_for_the_worker_whose_job_needs_it(
    tenant: Tenant, imports: Path, faces: Faces, tmp_path: Path
) -> None:
    lay(imports / "people", alice=faces.astronaut)
    end_engines()
    with job_process(tmp_path) as worker:
        ended([asked(tenant, "people")])
        [engine] = [command for command in commands(worker.pid) if "recognition.background.engine.process" in command]
        assert engine[-1] == str(worker.pid)


def test_an_engine_that_is_killed_is_started_again(tenant: Tenant, imports: Path, faces: Faces) -> None:
    lay(imports / "people", alice=faces.astronaut)
    lay(imports / "others", bob=faces.hopper)
    imported(tenant, "people")
    end_engines()
    imported(tenant, "others")
    assert templates(tenant) == {"alice": 1, "bob": 1}


@pytest.fixture
def many(imports: Path) -> Path:
    """A picture each of many people, and a second of some."""
    for person in sorted((SHARED_DATA / "lfw" / "images").iterdir())[:PEOPLE]:
        place = imports / "people" / person.name
        place.mkdir(parents=True)
        for picture in sorted(person.iterdir())[:2]:
            (place / picture.name).write_bytes(picture.read_bytes())
    return imports


@needs_shared_data
@pytest.mark.usefixtures("each_database")
def test_a_worker_that_is_killed_on_the_way_enrols_each_person_once(tenant: Tenant, many: Path, tmp_path: Path) -> None:
    _kill_on_the_way(tenant, many, tmp_path)


@needs_shared_data
def test_so_does_one_that_gets_its_jobs_through_a_broker(tenant: Tenant, many: Path, tmp_path: Path) -> None:
    with redis_server(tmp_path) as url:
        _kill_on_the_way(tenant, many, tmp_path, REDIS_URL=url, WORKER_CONCURRENCY="2")


def _kill_on_the_way(tenant: Tenant, many: Path, directory: Path, **variables: str) -> None:
    """Real processes, all of which are killed: early, and then twice in the middle."""
    job = asked(tenant, "people")
    chance = random.Random(0)
    for least in (0, 1, 40):
        with job_process(directory, **variables) as worker:
            until(partial(_is_running, job, least), 4 * PATIENCE_S)
            time.sleep(chance.uniform(0, 0.3))
            worker.kill()
        Job.across_tenants.filter(pk=job.pk).update(lease_until=clock.now())
    with job_process(directory, **variables):
        [job] = ended([job], 4 * PATIENCE_S)
    assert job.status == "succeeded", job.error
    told = report(many, job)
    enrolled = {name: subject for name, (subject, fate, _) in told.items() if fate == "enrolled"}
    assert not any(fate == "already there" for _, fate, _ in told.values())
    assert Template.objects.filter(tenant=tenant).count() == len(enrolled) == result_of(job)["enrolled"]
    assert ImportedPicture.objects.filter(subject__tenant=tenant).count() == len(enrolled)
    assert Subject.objects.filter(tenant=tenant).count() == len(set(enrolled.values())) == result_of(job)["subjects"]
    recorded = AuditEntry.objects.filter(tenant=tenant, kind=AuditKind.ENROLLED).values_list("reference", flat=True)
    assert len(recorded) == len(set(recorded)) == result_of(job)["subjects"]


def _is_running(job: Job, least: int) -> bool:
    found = Job.across_tenants.get(pk=job.pk)
    assert found.status not in (JobStatus.SUCCEEDED, JobStatus.DEAD, JobStatus.FAILED), found.error
    return found.status == JobStatus.RUNNING and found.done >= least

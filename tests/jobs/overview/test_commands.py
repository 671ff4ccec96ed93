"""manage.py jobs: what it tells of jobs, and how dead ones are queued again or forgotten; on each database."""

from __future__ import annotations

import argparse
import json
import uuid
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit.models import AuditEntry
from config.job_settings import JobSettings
from database import clock
from jobs.management.commands.jobs import Command
from jobs.models import DeadLetter, Job, Schedule
from jobs.overview.capacity import Load, measured
from jobs.submitting import NewJob, submit
from jobs.timing.scheduler import take_seat
from jobs.timing.schedules import ensure_schedules
from jobs.transitions import claim
from tenants.keys import create_tenant
from tenants.models import Tenant
from testkit.patience import PATIENCE_S
from vocabulary.jobs import JobStatus, JobType, Priority

pytestmark = pytest.mark.usefixtures("each_database")


@pytest.fixture
def tenant(each_database: str) -> Tenant:
    return create_tenant("acme")[0]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("jobs", *arguments, stdout=out)
    return out.getvalue()


def told(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json"))


def put(tenant: Tenant | None, status: JobStatus, type_: JobType = JobType.NOOP, **fields: Any) -> Job:
    job = submit(tenant, NewJob(type_, {"seconds": 1} if type_ is JobType.SLEEP else {}))
    Job.across_tenants.filter(pk=job.pk).update(status=status, **fields)
    job.refresh_from_db()
    return job


def dead(tenant: Tenant | None, type_: JobType = JobType.NOOP, days: float = 0) -> Job:
    job = put(tenant, JobStatus.DEAD, type_, failures=4, error="broken", finished_at=ago(days=days))
    DeadLetter.objects.create(job=job, reason="broken", traceback="Traceback: line 7", at=clock.now())
    return job


def ago(**span: float) -> Any:
    return clock.now() - timedelta(**span)


def status_of(job: Job) -> str:
    job.refresh_from_db()
    return job.status


def test_status_tells_of_each_priority_and_type(tenant: Tenant) -> None:
    ensure_schedules()
    take_seat("door:7")
    put(tenant, JobStatus.QUEUED, created_at=ago(minutes=90))
    put(None, JobStatus.QUEUED, created_at=ago(seconds=30))
    put(tenant, JobStatus.QUEUED, run_at=ago(seconds=10), created_at=ago(days=9))
    put(tenant, JobStatus.SCHEDULED, run_at=ago(seconds=-60))
    put(tenant, JobStatus.SUCCEEDED)
    dead(tenant)
    running = submit(tenant, NewJob(JobType.SLEEP, {"seconds": 1}, Priority.HIGH))
    claim(running.pk, "door:8")
    DeadLetter.objects.create(reason="no message", body=b"x", at=clock.now())
    found = told("status")
    high, normal = found["lines"]
    assert (high["priority"], high["type"], high["running"], high["oldest_s"]) == ("high", "sleep", 1, None)
    assert [normal[name] for name in ("queued", "scheduled", "running", "dead")] == [3, 1, 0, 1]
    assert 5_400 <= normal["oldest_s"] < 5_400 + PATIENCE_S
    assert (found["leader"], found["unreadable"], found["fault"]) == ("door:7", 1, None)
    assert {one["name"] for one in found["schedules"]} == {"retention", "outcomes"}
    (worker,) = found["workers"]
    assert (worker["name"], worker["slots"], worker["running"][0]["tenant"]) == ("door:7", 5, "acme")
    text = run("status")
    assert "\x1b" not in text, "colours are for terminals"
    for word in ("high", "1h30m", "door:7 leads", "1/5", "of acme", "retention every 1h", "1 messages"):
        assert word in text, word


def test_status_of_an_empty_installation() -> None:
    text = run("status")
    for word in ("no job waits", "no worker is alive", "none leads"):
        assert word in text


def test_jobs_are_listed_and_shown_with_what_their_end_left(tenant: Tenant) -> None:
    job, other = dead(tenant), put(None, JobStatus.QUEUED, JobType.SLEEP)
    assert [one["id"] for one in told("list")] == [str(other.public_id), str(job.public_id)]
    assert [one["id"] for one in told("list", "--status", "dead")] == [str(job.public_id)]
    assert [one["id"] for one in told("list", "--type", "sleep")] == [str(other.public_id)]
    assert [one["id"] for one in told("list", "--tenant", "acme", "--limit", "5")] == [str(job.public_id)]
    assert str(job.public_id) in run("list")
    text = run("show", str(job.public_id))
    for word in ("broken", "Traceback: line 7", "acme", "dead since"):
        assert word in text
    assert told("show", str(job.public_id))["letters"][0]["traceback"] == "Traceback: line 7"
    with pytest.raises(CommandError, match="there is no job"):
        run("show", str(uuid.UUID(int=0)))


def test_dead_jobs_are_queued_again(tenant: Tenant) -> None:
    one, sleep, fail, operators = dead(tenant), dead(tenant, JobType.SLEEP), dead(tenant, JobType.FAIL), dead(None)
    done = put(tenant, JobStatus.FAILED)
    assert run("replay", "--id", str(one.public_id)).startswith("1 ")
    assert (status_of(one), one.failures, one.error, one.letters.count()) == ("queued", 0, "", 0)
    assert run("replay", "--type", "sleep").startswith("1 ")
    assert [status_of(job) for job in (sleep, fail, operators)] == ["queued", "dead", "dead"]
    assert run("replay", "--all").startswith("2 ")
    assert [status_of(job) for job in (fail, operators, done)] == ["queued", "queued", "failed"]
    assert not DeadLetter.objects.exists()
    assert AuditEntry.objects.filter(tenant=tenant, kind="job_retried").count() == 3
    with pytest.raises(CommandError, match="no dead job"):
        run("replay", "--id", str(done.public_id))
    for wrong in ([], ["--all", "--type", "noop"], ["--type", "dance"], ["--id", "7"]):
        with pytest.raises(CommandError):
            run("replay", *wrong)


def test_dead_jobs_are_forgotten(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    old, sleep, new = dead(tenant, days=8), dead(tenant, JobType.SLEEP), dead(None)
    waits = put(tenant, JobStatus.QUEUED)
    DeadLetter.objects.create(reason="no message", at=ago(days=8))
    DeadLetter.objects.create(reason="no message", at=clock.now())
    monkeypatch.setattr("builtins.input", lambda _: "no")
    with pytest.raises(CommandError, match="nothing is deleted"):
        run("purge", "--all")
    assert run("purge", "--older-than", "7d", "--yes").startswith("2 ")
    assert not Job.across_tenants.filter(pk=old.pk).exists()
    assert run("purge", "--type", "sleep", "--yes").startswith("1 ")
    assert not Job.across_tenants.filter(pk=sleep.pk).exists()
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert run("purge", "--all").startswith("2 ")
    assert list(Job.across_tenants.all()) == [waits]
    assert not Job.across_tenants.filter(pk=new.pk).exists()
    assert not DeadLetter.objects.exists()
    entries = AuditEntry.objects.filter(tenant=tenant, kind="retention")
    assert [entry.details for entry in entries] == [{"what": "dead_jobs", "rows": 1}] * 2


def test_schedules_are_told_and_changed() -> None:
    ensure_schedules()
    assert {one["name"]: one["every_s"] for one in told("schedules")} == {"retention": 3_600, "outcomes": 86_400}
    assert "retention every 30m" in run("schedules", "set", "retention", "--every", "30m").replace(":", "")
    run("schedules", "set", "outcomes", "--next", "2031-01-31T03:00:00+01:00")
    rows = {row.name: row for row in Schedule.objects.all()}
    assert rows["retention"].every_s == 1_800
    assert rows["outcomes"].next_due.isoformat() == "2031-01-31T02:00:00+00:00"
    assert "2031-01-31 02:00:00Z" in run("schedules")
    run("schedules", "set", "outcomes", "--next", "now")
    assert Schedule.objects.get(name="outcomes").next_due <= clock.now()
    for wrong in (
        ["nobody", "--every", "1h"],
        ["outcomes"],
        ["outcomes", "--every", "500ms"],
        ["outcomes", "--next", "x"],
    ):
        with pytest.raises(CommandError):
            run("schedules", "set", *wrong)


def test_capacity_is_throughput_times_duration_by_utilization(tenant: Tenant) -> None:
    assert "say --per-hour" in run("capacity")
    hour = clock.now().replace(minute=30) - timedelta(hours=2)
    for number, began in ((6, hour), (3, hour - timedelta(hours=1))):
        for _ in range(number):
            put(tenant, JobStatus.SUCCEEDED, JobType.SLEEP, started_at=began, finished_at=began + timedelta(minutes=20))
    put(tenant, JobStatus.FAILED, started_at=hour, finished_at=hour + timedelta(seconds=6))
    put(tenant, JobStatus.CANCELLED, started_at=hour, finished_at=hour + timedelta(hours=5))
    put(tenant, JobStatus.SUCCEEDED, started_at=ago(days=3), finished_at=ago(days=2))
    general, io = measured(timedelta(days=1))
    assert (general.group, general.per_hour, general.average_s) == ("general", 1, 6.0)
    assert (io.group, io.per_hour, io.average_s) == ("io", 6, 1_200.0)
    assert [one["slots"] for one in told("capacity", "--utilization", "50")] == [1, 4]
    assert "slots, busy for 70%" in run("capacity")


@pytest.mark.parametrize(
    ("per_hour", "seconds", "utilization", "slots"),
    [(10_000, 5.4, 0.75, 20), (3_600, 1, 1.0, 1), (3_600, 1, 0.99, 2), (1, 0.1, 0.7, 1), (36_000, 2, 0.8, 25)],
)
def test_capacity_as_said(per_hour: float, seconds: float, utilization: float, slots: int) -> None:
    assert Load("as said", per_hour, seconds).slots(utilization) == slots
    arguments = ["--per-hour", str(per_hour), "--seconds", str(seconds), "--utilization", str(utilization * 100)]
    assert told("capacity", *arguments)[0]["slots"] == slots


@pytest.mark.parametrize(
    "wrong", [["--per-hour", "5"], ["--seconds", "0", "--per-hour", "1"], ["--utilization", "101"], ["--since", "x"]]
)
def test_capacity_needs_numbers(wrong: list[str]) -> None:
    with pytest.raises(CommandError):
        run("capacity", *wrong)


def test_every_action_says_what_it_does() -> None:
    parser = Command().create_parser("manage.py", "jobs")
    (actions,) = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    for name, action in actions.choices.items():
        assert f"jobs {name}" in action.format_help()


def test_status_is_watched_until_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = iter([None, None])

    def wait(_: float) -> None:
        if next(waits, "over") == "over":
            raise KeyboardInterrupt

    monkeypatch.setattr("jobs.management.actions.status.time.sleep", wait)
    assert run("status", "--watch").count("no job waits") == 3


def test_one_embedded_worker_is_scaled_by_its_variable() -> None:
    assert JobSettings().is_embedded
    with pytest.raises(CommandError, match="WORKER_CONCURRENCY"):
        run("scale", "thin", "3")

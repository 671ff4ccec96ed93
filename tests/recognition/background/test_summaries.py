"""Nightly numbers of what sessions came to."""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime, time, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from audit.chain import Event, record
from config.service import service_settings
from database import clock
from jobs.models import Job
from jobs.problems import InvalidJob
from recognition.deciding import Deciding
from recognition.models import Session
from recognition.outcomes.models import OutcomeSummary
from recognition.retention import rules
from tenants.models import Tenant
from tests.recognition.background import doing
from tests.recognition.background.doing import asked, finished, result_of
from tests.recognition.background.sessions import ended
from vocabulary.audit import AuditKind
from vocabulary.jobs import JobStatus, JobType


@pytest.fixture
def now(tenant: Tenant, twin: Tenant, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """A quarter past midnight; the tenants are three days old."""
    now = datetime.combine(clock.now().date(), time(0, 15), UTC)
    Tenant.objects.update(created_at=now - timedelta(days=3))
    return now


def summaries(tenant: Tenant) -> list[OutcomeSummary]:
    return list(OutcomeSummary.objects.filter(tenant=tenant).order_by("day"))


def a_day(tenant: Tenant, at: datetime) -> None:
    """Sessions of an evening, and one of the next morning."""
    for took_s in (1.0, 2.0, 3.0, 40.0):
        ended(tenant, at, took_s=took_s)
    ended(tenant, at, status="failed", reason="no_match", took_s=5.0)
    ended(tenant, at, kind="enrollment", took_s=10.0)
    ended(tenant, at, status="expired", took_s=None)
    ended(tenant, at + timedelta(days=1), took_s=7.0)


EVENING = [
    ["authentication", "expired", "", 1],
    ["authentication", "failed", "no_match", 1],
    ["authentication", "succeeded", "", 4],
    ["enrollment", "succeeded", "", 1],
]


def printed(*arguments: str) -> str:
    out = StringIO()
    call_command("outcomes", *arguments, stdout=out)
    return out.getvalue()


def test_a_day_is_counted_once_in_the_night_after_it(
    tenant: Tenant, twin: Tenant, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    yesterday = now - timedelta(hours=3)
    a_day(tenant, yesterday)
    with caplog.at_level(logging.INFO, logger="recognition.outcomes"):
        assert result_of(asked(None, JobType.SUMMARISE_OUTCOMES)) == {"summaries": 6}
    *before, found = summaries(tenant)
    assert [row.day for row in before] == [yesterday.date() - timedelta(days=2), yesterday.date() - timedelta(days=1)]
    assert all((row.sessions, row.median_ms, row.attempts) == ([], None, 0) for row in before)
    assert (found.day, found.sessions, found.attempts) == (yesterday.date(), EVENING, 5)
    assert (found.median_ms, found.p95_ms) == (3_000, 40_000)
    assert len(summaries(twin)) == 3
    lines = [entry.getMessage() for entry in caplog.records if entry.name == "recognition.outcomes.summaries"]
    assert len(lines) == 6
    assert f"outcomes of acme on {yesterday.date()}: 7 sessions, 5 attempts, 0 enrolments, 0 locks" in lines[2]
    Session.objects.filter(tenant=tenant).delete()
    assert result_of(asked(None, JobType.SUMMARISE_OUTCOMES)) == {"summaries": 0}
    assert summaries(tenant)[-1].sessions == EVENING, "what retention has deleted since is still counted"


def test_locks_and_enrolments_are_those_of_the_trail(
    tenant: Tenant, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(clock, "now", lambda: now - timedelta(hours=3))
        record(tenant.pk, Event(AuditKind.LOCKED), Event(AuditKind.ENROLLED), Event(AuditKind.ENROLLED))
    record(tenant.pk, Event(AuditKind.ENROLLED))
    result_of(asked(None, JobType.SUMMARISE_OUTCOMES))
    found = summaries(tenant)[-1]
    assert (found.locks, found.enrolments) == (1, 2)


def test_killed_again_and_again_each_day_is_stored_once(tenant: Tenant, twin: Tenant, now: datetime) -> None:
    for one in (tenant, twin):
        a_day(one, now - timedelta(hours=3))
    job = doing.killed_again_and_again(asked(None, JobType.SUMMARISE_OUTCOMES))
    assert (job.status, job.result) == (JobStatus.SUCCEEDED, {"summaries": 6})
    assert (job.done, job.total) == (6, 6)
    assert [summaries(one)[-1].sessions for one in (tenant, twin)] == [EVENING, EVENING]
    assert OutcomeSummary.across_tenants.count() == 6


def test_a_cancelled_job_leaves_whole_days_and_the_next_does_the_others(
    tenant: Tenant, twin: Tenant, now: datetime
) -> None:
    doing.cancelled_in_the_middle(asked(None, JobType.SUMMARISE_OUTCOMES), 8)
    there = OutcomeSummary.across_tenants.count()
    assert 0 < there < 6
    assert result_of(asked(None, JobType.SUMMARISE_OUTCOMES)) == {"summaries": 6 - there}


def test_one_day_can_be_asked_for_unless_it_is_not_over(tenant: Tenant, now: datetime) -> None:
    day = now.date() - timedelta(days=2)
    assert result_of(asked(None, JobType.SUMMARISE_OUTCOMES, day=day.isoformat())) == {"summaries": 2}
    assert [row.day for row in summaries(tenant)] == [day]
    job = finished(asked(None, JobType.SUMMARISE_OUTCOMES, day=clock.now().date().isoformat()))
    assert (job.status, job.error) == (JobStatus.FAILED, f"{clock.now().date()} is not over (UTC)")
    with pytest.raises(InvalidJob, match="for one tenant"):
        asked(tenant, JobType.SUMMARISE_OUTCOMES)


def test_the_command_prints_the_newest_day_first(tenant: Tenant, now: datetime) -> None:
    assert "no day of the last 14 has been summarised yet" in printed("--tenant", "acme")
    a_day(tenant, now - timedelta(hours=3))
    result_of(asked(None, JobType.SUMMARISE_OUTCOMES))
    head, newest, *older = printed("--tenant", "acme").splitlines()
    assert head.split() == ["day", "sessions", "succeeded", "attempts", "enrolments", "locks", "median", "p95"]
    yesterday = str((now - timedelta(hours=3)).date())
    assert newest.split() == [yesterday, "7", "5", "5", "0", "0", "3000", "40000"]
    assert [line.split()[1:] for line in older] == [["0", "0", "0", "0", "0", "-", "-"]] * 2
    (line,) = printed("--tenant", "acme", "--days", "1", "--json").splitlines()
    told = json.loads(line)
    assert told["sessions"][1] == {"kind": "authentication", "status": "failed", "reason": "no_match", "number": 1}
    assert (told["day"], told["p95_ms"]) == (yesterday, 40_000)
    for wrong in (["--tenant", "nobody"], ["--tenant", "acme", "--days", "0"]):
        with pytest.raises(CommandError, match=r"nobody|--days"):
            printed(*wrong)


def test_summaries_are_kept_for_as_long_as_the_setting_says(tenant: Tenant, now: datetime) -> None:
    days = service_settings().retain_summaries_days
    assert days == 400
    for ago in (days - 1, days + 1):
        day: date = clock.now().date() - timedelta(days=ago)
        OutcomeSummary.objects.create(tenant=tenant, day=day, attempts=0, locks=0, enrolments=0, made_at=clock.now())
    rules.enforce(Deciding.load(service_settings()).settings, clock.now())
    assert [(clock.now().date() - row.day).days for row in summaries(tenant)] == [days - 1]


def test_a_summary_names_nobody(tenant: Tenant, now: datetime) -> None:
    ended(tenant, now - timedelta(hours=3), metadata={"name": "Alice"})
    Session.objects.filter(tenant=tenant).update(subject_id="alice", device_id="phone")
    result_of(asked(None, JobType.SUMMARISE_OUTCOMES))
    stored = str(list(OutcomeSummary.across_tenants.values())).lower()
    assert "alice" not in stored
    assert "phone" not in stored
    assert Job.across_tenants.get().result == {"summaries": 6}

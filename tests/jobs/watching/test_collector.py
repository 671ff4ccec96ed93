from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from database import clock
from jobs.models import DeadLetter, Job, SchedulerSeat
from jobs.submitting import NewJob, submit, submit_many
from jobs.timing.scheduler import take_seat
from jobs.watching import collector, database_facts
from jobs.watching.collector import JobsCollector
from monitoring.collectors import background
from monitoring.exposition import exposition
from vocabulary.jobs import JobStatus, JobType, Priority
from wire.errors import Unavailable

pytestmark = pytest.mark.django_db(transaction=True)


def scraped(jobs: JobsCollector, run_dir: Path) -> dict[str, Metric]:
    families = text_string_to_metric_families(exposition(run_dir, [jobs]).decode())
    return {family.name: family for family in families}


def values(family: Metric) -> dict[tuple[str, ...], float]:
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


@pytest.mark.usefixtures("each_database")
def test_the_metrics_are_what_the_database_knows(tmp_path: Path) -> None:
    submit_many(None, [NewJob(JobType.NOOP, priority=Priority.HIGH)] * 2)
    old = submit(None, NewJob(JobType.SLEEP, {"seconds": 1}))
    Job.across_tenants.filter(pk=old.pk).update(created_at=clock.now() - timedelta(minutes=10))
    submit(None, NewJob(JobType.NOOP, run_at=clock.now() + timedelta(hours=1)))
    dead = submit(None, NewJob(JobType.FAIL, {}))
    Job.across_tenants.filter(pk=dead.pk).update(status=JobStatus.DEAD)
    DeadLetter.objects.create(job=dead, reason="it failed", at=clock.now())
    DeadLetter.objects.create(reason="unreadable", body=b"?", at=clock.now())
    running = submit(None, NewJob(JobType.NOOP, priority=Priority.LOW))
    Job.across_tenants.filter(pk=running.pk).update(status=JobStatus.RUNNING)
    found = scraped(JobsCollector(sends=True), tmp_path)
    assert values(found["face_jobs_queued"]) == {("high", "noop"): 2, ("normal", "sleep"): 1}
    assert values(found["face_jobs_scheduled"]) == {("normal", "noop"): 1}
    assert values(found["face_jobs_running"]) == {("low", "noop"): 1}
    assert values(found["face_jobs_dead_letters"]) == {("fail",): 1, ("",): 1}
    assert values(found["face_jobs_oldest_seconds"])["normal", "sleep"] == pytest.approx(600, abs=60)
    assert values(found["face_jobs_unsent"]) == {(): 1}  # Redis is not there: the old one was sent nowhere.
    assert values(found["face_jobs_scheduler_leads"]) == {(): 0}


def test_a_job_that_goes_on_in_parts_is_not_told_as_waiting_since_its_creation(tmp_path: Path) -> None:
    part = submit(None, NewJob(JobType.NOOP))
    long_ago = clock.now() - timedelta(hours=5)
    Job.across_tenants.filter(pk=part.pk).update(created_at=long_ago, started_at=long_ago)
    found = scraped(JobsCollector(sends=False), tmp_path)
    assert values(found["face_jobs_queued"]) == {("normal", "noop"): 1}
    assert values(found["face_jobs_oldest_seconds"]) == {}
    assert "face_jobs_unsent" not in found


def test_a_scheduler_leads_as_long_as_it_holds_its_seat(tmp_path: Path) -> None:
    take_seat("one")
    assert values(scraped(JobsCollector(sends=True), tmp_path)["face_jobs_scheduler_leads"]) == {(): 1}
    SchedulerSeat.objects.update(held_until=clock.now() - timedelta(seconds=1))
    assert values(scraped(JobsCollector(sends=True), tmp_path)["face_jobs_scheduler_leads"]) == {(): 0}


def test_scrapes_within_seconds_ask_the_database_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counted(monkeypatch, database_facts.facts)
    jobs = JobsCollector(sends=False)
    for _ in range(5):
        assert "face_jobs_queued" in scraped(jobs, tmp_path)
    assert len(asked) == 1


def test_a_scrape_goes_without_them_while_the_database_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise Unavailable("no database", 1_000)

    monkeypatch.setattr(collector, "facts", away)
    found = scraped(JobsCollector(sends=True), tmp_path)
    assert "face_workers" in found
    assert not any(name.startswith("face_jobs_queued") for name in found)


def test_a_database_that_hangs_holds_one_thread_and_no_scrape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    asked = counted(monkeypatch, over.wait)
    monkeypatch.setattr(background, "PATIENCE_S", 0.05)
    jobs = JobsCollector(sends=True)
    try:
        for _ in range(3):
            assert "face_jobs_queued" not in scraped(jobs, tmp_path)
        assert len(asked) == 1
    finally:
        over.set()


def counted(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]) -> list[None]:
    calls: list[None] = []

    def asking() -> object:
        calls.append(None)
        return ask()

    monkeypatch.setattr(collector, "facts", asking)
    return calls

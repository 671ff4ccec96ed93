"""Every kind of row is deleted after its retention, in short transactions, and nothing else is."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

import database.clock
from audit.models import AuditEntry
from core.types import Embedding
from gallery.models import Feedback, Picture, Subject, Template, TemplateChange, TemplateKey
from jobs.models import DeadLetter, Job
from jobs.submitting import NewJob, submit
from recognition.models import Decision, FailedAttempts, KnownDevice, SeenFrame, Session, SessionProbe
from recognition.outcomes.models import OutcomeSummary
from recognition.retention import batches, rules
from recognition.sessions import lifecycle
from recognition.worker import Worker
from tests.recognition.conftest import Configure
from tests.recognition.failing import LIMIT, LOCK_S, NO_MATCH, WINDOW_S, Clock, begun, fail, locked, succeed
from tests.recognition.support import Backend, asked, side_by_side
from vocabulary.jobs import JobStatus, JobType
from webhooks.models import Delivery

DAY_S = 86_400.0
TIME_LIMIT_S = 30.0


def enforce(worker: Worker) -> int:
    return rules.enforce(worker.settings, database.clock.now())


def test_a_session_goes_with_its_decision_after_its_time(alice: Backend, clock: Clock, configure: Configure) -> None:
    worker = configure(retain_sessions_days=10, retain_metadata_days=10)
    fail(worker, alice)
    clock.advance(10 * DAY_S)
    enforce(worker)
    assert (Session.across_tenants.count(), Decision.across_tenants.count()) == (1, 1)
    clock.advance(TIME_LIMIT_S + 1)
    enforce(worker)
    assert (Session.across_tenants.count(), Decision.across_tenants.count()) == (0, 0)


def test_an_open_session_is_kept_however_old(alice: Backend, clock: Clock, configure: Configure) -> None:
    worker = configure(retain_sessions_days=1)
    begun(worker, alice)
    clock.advance(20 * DAY_S)
    enforce(worker)
    assert Session.across_tenants.count() == 1
    assert lifecycle.expire_overdue(worker.deciding) == 1
    assert Session.across_tenants.get().checkpoint == ""


def test_metadata_goes_sooner_and_the_outcome_stays(alice: Backend, clock: Clock, configure: Configure) -> None:
    worker = configure(retain_metadata_days=2)
    session = lifecycle.create(worker.deciding, alice.tenant, asked("authentication", "alice", order=7), None).session
    decision = lifecycle.decide(worker.deciding, lifecycle.connect(worker.deciding, session), NO_MATCH)
    clock.advance(2 * DAY_S)
    enforce(worker)
    session.refresh_from_db()
    assert session.metadata == {"order": 7}
    clock.advance(TIME_LIMIT_S + 1)
    enforce(worker)
    session.refresh_from_db()
    assert session.metadata == {}
    assert Decision.across_tenants.get() == decision
    assert enforce(worker) == 0, "what was emptied is not emptied again"


def test_attempts_go_when_they_mean_nothing_any_more(worker: Worker, alice: Backend, clock: Clock) -> None:
    fail(worker, alice, LIMIT, device_id="tablet")
    fail(worker, alice, kind="identification", device_id="phone")
    clock.advance(WINDOW_S + 1)
    enforce(worker)
    assert set(FailedAttempts.across_tenants.values_list("kind", "key")) == {("device", "tablet")}
    assert locked(alice, "alice", "tablet")
    clock.advance(LOCK_S)
    enforce(worker)
    assert not FailedAttempts.across_tenants.exists()


def test_a_device_is_forgotten_when_it_was_not_used_for_long(
    alice: Backend, astronaut_embedding: Embedding, clock: Clock, configure: Configure
) -> None:
    worker = configure(retain_known_devices_days=5)
    succeed(worker, alice, astronaut_embedding, device_id="phone")
    succeed(worker, alice, astronaut_embedding, device_id="tablet")
    clock.advance(4 * DAY_S)
    succeed(worker, alice, astronaut_embedding, device_id="phone")
    clock.advance(2 * DAY_S)
    enforce(worker)
    assert list(KnownDevice.across_tenants.values_list("device", flat=True)) == ["phone"]


def test_who_is_enrolled_stays(alice: Backend, worker: Worker, clock: Clock) -> None:
    clock.advance(4_000 * DAY_S)
    enforce(worker)
    assert (Subject.across_tenants.count(), Template.across_tenants.count()) == (1, 1)


def ended_job(backend: Backend | None, status: JobStatus, **fields: Any) -> Job:
    job = submit(None if backend is None else backend.tenant, NewJob(JobType.NOOP))
    Job.across_tenants.filter(pk=job.pk).update(status=status, finished_at=database.clock.now(), **fields)
    return job


def test_a_job_goes_with_its_dead_letter_after_its_time(alice: Backend, clock: Clock, configure: Configure) -> None:
    worker = configure(retain_jobs_days=10)
    dead = ended_job(alice, JobStatus.DEAD)
    ended_job(None, JobStatus.SUCCEEDED)
    DeadLetter.objects.create(job=dead, reason="it failed", at=database.clock.now())
    DeadLetter.objects.create(reason="it is no message", at=database.clock.now())
    waits = submit(alice.tenant, NewJob(JobType.NOOP))
    clock.advance(10 * DAY_S)
    enforce(worker)
    assert (Job.across_tenants.count(), DeadLetter.objects.count()) == (3, 2)
    clock.advance(1)
    enforce(worker)
    assert (Job.across_tenants.get().pk, DeadLetter.objects.count()) == (waits.pk, 0)
    entries = AuditEntry.objects.filter(tenant=alice.tenant, kind="retention")
    assert {"what": "jobs", "rows": 1} in [entry.details for entry in entries]


def test_a_job_that_ended_after_its_person_was_erased_goes_after_a_day(
    worker: Worker, alice: Backend, rival: Backend, clock: Clock
) -> None:
    ended_job(alice, JobStatus.SUCCEEDED, subject_id="alice")
    ended_job(alice, JobStatus.SUCCEEDED)
    ended_job(alice, JobStatus.SUCCEEDED, subject_id="bob")
    ended_job(rival, JobStatus.SUCCEEDED, subject_id="alice")
    clock.advance(DAY_S)
    enforce(worker)
    assert Job.across_tenants.count() == 4
    clock.advance(1)
    enforce(worker)
    left = Job.across_tenants.order_by("pk").values_list("tenant", "subject_id")
    assert list(left) == [(alice.tenant.pk, "alice"), (alice.tenant.pk, "")]


def test_every_kind_of_row_that_grows_has_a_rule(worker: Worker, backend: Backend) -> None:
    ruled = {rule.overdue(worker.settings, database.clock.now()).model for rule in rules.RULES}
    sessions = {Session, FailedAttempts, KnownDevice, SeenFrame, SessionProbe}
    of_jobs = {Job, DeadLetter, OutcomeSummary, Delivery}
    assert ruled == sessions | of_jobs | {TemplateChange, TemplateKey, Feedback, Picture}


def many_sessions(backend: Backend, number: int, expires_at: datetime) -> None:
    Session.objects.bulk_create(
        Session(
            tenant=backend.tenant,
            kind="identification",
            liveness="none",
            target_samples=1,
            status="failed",
            token_hash=f"{index:064x}",
            request_digest="",
            expires_at=expires_at,
        )
        for index in range(number)
    )


def test_many_rows_are_deleted_in_bounded_transactions(
    worker: Worker, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each transaction deletes a batch; a round ends after a number of them; the next round continues."""
    monkeypatch.setattr(batches, "BATCH", 10)
    monkeypatch.setattr(batches, "BATCHES_AT_ONCE", 3)
    many_sessions(backend, 45, database.clock.now() - timedelta(days=1_000))
    sizes: list[int] = []

    def delete(rows: Any) -> None:
        assert connection.in_atomic_block
        sizes.append(rows.count())
        rows.delete()

    monkeypatch.setattr(rules, "RULES", (rules.Rule(rules.old_sessions, delete),))
    assert [enforce(worker) for _ in range(3)] == [30, 15, 0]
    assert sizes == [10, 10, 10, 10, 5]


def test_a_row_that_is_needed_again_meanwhile_stays(worker: Worker, alice: Backend, clock: Clock) -> None:
    fail(worker, alice, kind="identification", device_id="phone")
    clock.advance(WINDOW_S + 1)
    stale = rules.stale_attempts(worker.settings, database.clock.now())
    found = list(stale.values_list("pk", flat=True))
    fail(worker, alice, kind="identification", device_id="phone")
    assert batches._apply_to_batch(stale, found, batches.delete) == 0
    assert FailedAttempts.across_tenants.filter(pk__in=found).exists()


def test_one_worker_at_a_time_deletes(worker: Worker, backend: Backend) -> None:
    many_sessions(backend, 3, database.clock.now() - timedelta(days=1_000))
    path = worker.settings.run_dir / "retention.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as other_worker:
        fcntl.flock(other_worker, fcntl.LOCK_EX)
        assert rules.enforce_in_turn(worker.deciding) is None
    assert rules.enforce_in_turn(worker.deciding) == 3


def test_deleting_and_deciding_side_by_side_lose_nothing(
    worker: Worker, alice: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "BATCH", 5)
    many_sessions(alice, 100, database.clock.now() - timedelta(days=1_000))
    connections = [begun(worker, alice, "identification", f"device-{number}") for number in range(6)]
    calls: list[Callable[[], object]] = [lambda: enforce(worker)]
    calls += [lambda each=each: lifecycle.decide(worker.deciding, each, NO_MATCH).reason for each in connections]  # type: ignore[misc]
    assert side_by_side(calls) == [100, *["no_match"] * 6]
    assert Decision.across_tenants.count() == 6

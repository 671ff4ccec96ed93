"""Retention as a job, beside the workers that do the same."""

from __future__ import annotations

import fcntl
from datetime import timedelta

import pytest

from audit.models import AuditEntry
from config.service import service_settings
from database import clock
from jobs.problems import InvalidJob
from recognition.models import Session
from recognition.retention import batches, rules
from tenants.models import Tenant
from tests.recognition.background import doing
from tests.recognition.background.doing import asked, result_of
from tests.recognition.background.sessions import ended
from vocabulary.jobs import JobStatus, JobType

OLD = 7


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "BATCH", 1)
    monkeypatch.setattr(batches, "BATCHES_AT_ONCE", 2)
    monkeypatch.setattr(rules, "PAUSE_S", 0.0)


def old_ones(tenant: Tenant) -> None:
    for _ in range(OLD):
        ended(tenant, clock.now() - timedelta(days=1_000))
    ended(tenant, clock.now())


def test_what_is_old_goes_in_rounds_and_is_recorded(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    doing.in_small_parts(monkeypatch)
    old_ones(tenant)
    job = asked(None, JobType.RETENTION)
    assert result_of(job) == {"expired": 0, "applied": OLD}
    assert Session.objects.filter(tenant=tenant).count() == 1
    rows = AuditEntry.objects.filter(tenant=tenant, kind="retention").values_list("details", "actor_name")
    assert sum(details["rows"] for details, _ in rows) == OLD
    assert {name for _, name in rows} == {doing.KEY.name}
    with pytest.raises(InvalidJob, match="not for one tenant"):
        asked(tenant, JobType.RETENTION)


def test_killed_again_and_again_it_deletes_all_that_is_old(tenant: Tenant) -> None:
    old_ones(tenant)
    job = doing.killed_again_and_again(asked(None, JobType.RETENTION))
    assert job.status == JobStatus.SUCCEEDED, job.error
    assert Session.objects.filter(tenant=tenant).count() == 1


def test_a_cancelled_round_leaves_the_rest_to_the_next(tenant: Tenant) -> None:
    old_ones(tenant)
    doing.cancelled_in_the_middle(asked(None, JobType.RETENTION), 3)
    assert 1 < Session.objects.filter(tenant=tenant).count() < OLD + 1
    result_of(asked(None, JobType.RETENTION))
    assert Session.objects.filter(tenant=tenant).count() == 1


def test_while_a_worker_does_its_round_the_job_leaves_it_to_that(tenant: Tenant) -> None:
    old_ones(tenant)
    path = service_settings().run_dir / "retention.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as worker:
        fcntl.flock(worker, fcntl.LOCK_EX)
        assert result_of(asked(None, JobType.RETENTION)) == {"expired": 0, "applied": None}
    assert Session.objects.filter(tenant=tenant).count() == OLD + 1
    assert result_of(asked(None, JobType.RETENTION)) == {"expired": 0, "applied": OLD}

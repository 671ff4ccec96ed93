"""manage.py jobs doctor: each item passes where it is well, and says what to do where it is not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import call_command
from redis.backoff import NoBackoff
from redis.retry import Retry

from config.job_settings import JobSettings
from database import clock
from database.redis_access import Connection
from jobs.broker import state
from jobs.models import Job
from jobs.overview import checks
from jobs.overview.checks import Limits
from jobs.overview.workers import BrokerAway, WorkerState
from jobs.submitting import NewJob, submit
from jobs.timing.scheduler import leave_seat, take_seat
from testkit.servers import redis_server
from testkit.service import REPOSITORY, free_port
from vocabulary.jobs import JobStatus, JobType, Priority

POOLED = JobSettings.model_validate({"REDIS_URL": "redis://somewhere/0"})


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def broker(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        client.config_set("appendonly", "yes")
        client.config_set("maxmemory-policy", "noeviction")
        connection = Connection(client)
        monkeypatch.setattr(state, "connection", lambda: connection)
        yield client


def alive(patch: pytest.MonkeyPatch, *queues: str) -> None:
    patch.setattr(checks, "workers", lambda _: [WorkerState("default-1@here", "default", 10, (), queues)])


def failing(settings: JobSettings, limits: Limits | None = None) -> dict[str, str]:
    """What each item that fails says, by its name."""
    found = checks.items(settings, limits or Limits())
    return {one.name: one.words for one in found if not one.passes}


@pytest.mark.usefixtures("each_database")
def test_an_installation_without_redis_needs_its_worker(capsys: pytest.CaptureFixture[str]) -> None:
    def told() -> list[dict[str, Any]]:
        out = StringIO()
        call_command("jobs", "doctor", "--json", stdout=out)
        found: list[dict[str, Any]] = json.loads(out.getvalue())
        return found

    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("jobs", "doctor", stdout=out)
    assert ended.value.code == 1
    assert {line.split()[1] for line in out.getvalue().splitlines() if line.startswith("FAIL")} == {
        "scheduler",
        "workers",
    }
    take_seat("here:1")
    assert all(one["passes"] for one in told())
    leave_seat("here:1")
    assert set(failing(JobSettings())) == {"scheduler", "workers"}


@pytest.mark.usefixtures("each_database")
def test_what_waits_too_long_or_fails_too_often_is_told() -> None:
    take_seat("here:1")
    for _ in range(3):
        submit(None, NewJob(JobType.NOOP, priority=Priority.LOW))
    assert failing(JobSettings(), Limits(depth=3)) == {}
    deep = failing(JobSettings(), Limits(depth=2))
    assert deep.keys() == {"queue depth"}
    assert "low noop 3" in deep["queue depth"]
    Job.across_tenants.update(created_at=clock.now() - timedelta(minutes=11))
    assert "low noop 66" in failing(JobSettings())["oldest job"]
    assert failing(JobSettings(), Limits(age=timedelta(hours=1))) == {}
    Job.across_tenants.update(status=JobStatus.SUCCEEDED, finished_at=clock.now())
    Job.across_tenants.filter(pk=Job.across_tenants.earliest("pk").pk).update(status=JobStatus.DEAD)
    rates = failing(JobSettings())
    assert rates.keys() == {"error rate"}
    assert "1 of 3" in rates["error rate"]
    assert failing(JobSettings(), Limits(error_rate=0.4)) == {}
    Job.across_tenants.update(finished_at=clock.now() - timedelta(hours=2))
    assert failing(JobSettings()) == {}


@pytest.mark.usefixtures("transactional_db")
def test_redis_must_keep_what_it_is_given(broker: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    take_seat("here:1")
    alive(monkeypatch)
    assert failing(POOLED) == {}
    broker.config_set("maxmemory-policy", "allkeys-lru")
    broker.config_set("appendonly", "no")
    found = failing(POOLED)
    assert found.keys() == {"redis memory", "redis persistence"}
    assert "allkeys-lru" in found["redis memory"]
    assert "appendonly yes" in found["redis persistence"]


@pytest.mark.usefixtures("transactional_db", "broker")
def test_every_queue_with_jobs_needs_a_worker_that_takes_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    take_seat("here:1")
    submit(None, NewJob(JobType.NOOP, priority=Priority.HIGH))
    submit(None, NewJob(JobType.NOOP, priority=Priority.LOW))
    alive(monkeypatch, "queue:high:noop", "queue:low:noop")
    assert failing(POOLED) == {}
    alive(monkeypatch, "queue:high:noop", "queue:low:sleep")
    found = failing(POOLED)
    assert found.keys() == {"workers"}
    assert "low noop" in found["workers"]
    assert "high" not in found["workers"].partition("Start")[0]


def cannot_ask(_: object) -> list[WorkerState]:
    raise BrokerAway("connection refused")


@pytest.mark.usefixtures("transactional_db")
def test_a_redis_that_is_away_is_told_and_the_rest_is_still_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    take_seat("here:1")
    with redis.Redis(port=free_port(), retry=Retry(NoBackoff(), 0)) as away:
        connection = Connection(away)
        monkeypatch.setattr(state, "connection", lambda: connection)
        monkeypatch.setattr(checks, "workers", cannot_ask)
        assert failing(POOLED).keys() == {"redis", "workers", "clocks"}


@pytest.mark.usefixtures("transactional_db")
def test_a_clock_that_goes_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    take_seat("here:1")
    monkeypatch.setattr("jobs.overview.checks.time.time", lambda: clock.now().timestamp() + 60)
    found = failing(JobSettings())
    assert found.keys() == {"clocks"}
    assert "NTP" in found["clocks"]


def test_a_database_that_is_not_prepared_is_told(tmp_path: Path) -> None:
    command = [sys.executable, str(REPOSITORY / "face_recognition_app" / "manage.py"), "jobs", "doctor"]

    def doctor() -> tuple[int, str]:
        environment = {"PATH": "/usr/bin", "FACE_DATA_DIR": str(tmp_path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout

    code, told = doctor()
    assert code == 1
    assert "FAIL  database" in told
    (tmp_path / "face.sqlite3").touch()
    code, told = doctor()
    assert code == 1
    assert "FAIL  migrations" in told
    assert "manage.py prepare" in told

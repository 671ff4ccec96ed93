"""What manage.py jobs tells and does about real workers over a real Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from testkit.families import kill_family
from testkit.servers import redis_server
from testkit.service import REPOSITORY

MANAGE = str(REPOSITORY / "face_recognition_app" / "manage.py")
SUBMIT = """
from jobs.submitting import NewJob, submit
from vocabulary.jobs import JobType, Priority
submit(None, NewJob(JobType.SLEEP, {"seconds": 120}, Priority.HIGH))
submit(None, NewJob(JobType.NOOP, {}, Priority.LOW))
"""
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Site:
    """A database and a Redis of the test's own."""

    environment: dict[str, str]

    def manage(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, MANAGE, *arguments],
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )

    def status(self) -> dict[str, Any]:
        done = self.manage("jobs", "status", "--json")
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def doctor(self) -> dict[str, str]:
        """What the failing items say."""
        done = self.manage("jobs", "doctor", "--json")
        found = {one["name"]: one["words"] for one in json.loads(done.stdout) if not one["passes"]}
        assert (done.returncode == 1) == bool(found)
        return found

    @contextmanager
    def worker(self, **variables: str) -> Iterator[None]:
        process = subprocess.Popen(
            [sys.executable, MANAGE, "jobs", "worker"],
            env={**self.environment, **variables},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield
        finally:
            kill_family(process.pid)
            process.wait()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with redis_server(tmp_path) as url:
        with redis.Redis.from_url(url) as client:
            client.config_set("appendonly", "yes")
        environment = {"PATH": os.environ["PATH"], "FACE_DATA_DIR": str(tmp_path / "var"), "REDIS_URL": url}
        (tmp_path / "var").mkdir()
        (tmp_path / "var" / "face.sqlite3").touch()  # As manage.py prepare does.
        made = Site(environment)
        assert made.manage("migrate", "--verbosity=0").returncode == 0
        assert made.manage("shell", "--no-imports", "-c", SUBMIT).returncode == 0
        yield made


def until(found: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < deadline, f"not in time: {what}"


def test_workers_are_told_with_what_they_take_and_run_and_are_scaled(site: Site) -> None:
    assert site.doctor().keys() == {"scheduler", "workers"}
    assert site.status()["workers"] == []
    high = {"WORKER_MODE": "specialized", "WORKER_PRIORITIES": "high", "WORKER_CONCURRENCY": "2"}
    with site.worker(**high):
        until(lambda: any(one["running"] for one in site.status()["workers"]), "the job runs")
        found = site.status()
        (worker,) = found["workers"]
        assert (worker["group"], worker["slots"], worker["running"][0]["type"]) == ("high", 2, "sleep")
        assert "queue:high:noop" in worker["queues"]
        assert not any(":low:" in queue for queue in worker["queues"])
        assert found["leader"]
        assert {(line["priority"], line["queued"], line["running"]) for line in found["lines"]} == {
            ("high", 0, 1),
            ("low", 1, 0),
        }
        alone = site.doctor()
        assert alone.keys() == {"workers"}
        assert "low noop" in alone["workers"]

        grown = site.manage("jobs", "scale", "high", "4")
        assert "high: 2 slots before, 4 now" in grown.stdout, grown.stderr
        assert site.status()["workers"][0]["slots"] == 4
        shrunk = site.manage("jobs", "scale", worker["name"], "1")
        assert f"{worker['name']}: 4 slots before, 1 now" in shrunk.stdout, shrunk.stderr
        kept = site.status()["workers"][0]
        assert (kept["slots"], len(kept["running"])) == (1, 1), "the slot with the job stays"
        for group, slots in (("thin", "1"), ("specialized", "0"), ("specialized", "1001")):
            assert site.manage("jobs", "scale", group, slots).returncode == 1

        with site.worker(WORKER_CONCURRENCY="1", ENABLE_SCHEDULER="false"):
            until(lambda: len(site.status()["workers"]) == 2, "the second worker answers")
            until(lambda: site.doctor() == {}, "all is well")


def test_without_redis_what_the_database_knows_is_told(site: Site) -> None:
    away = Site({**site.environment, "REDIS_URL": "redis://127.0.0.1:1/0"})
    found = away.status()
    assert {(line["priority"], line["queued"]) for line in found["lines"]} == {("high", 1), ("low", 1)}
    assert "Redis cannot be reached" in found["fault"]
    refused = away.manage("jobs", "scale", "default", "2")
    assert (refused.returncode, "Redis cannot be reached" in refused.stderr) == (1, True)
    assert {"redis", "workers"} <= away.doctor().keys()

"""Every kind of job, done by a real worker and its processes, which are killed in the middle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from testkit.patience import PATIENCE_S
from testkit.servers import redis_server
from testkit.service import REPOSITORY
from tests.processes import APPLICATION, environment, run

IN_THE_APPLICATION = """
import json, os, sys

os.environ["DJANGO_SETTINGS_MODULE"] = "face_app.settings"
import django

django.setup()
from tests.recognition.background import real_jobs

print(json.dumps(getattr(real_jobs, sys.argv[1])()))
"""


@pytest.fixture(params=["embedded", "Redis"])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Variables of the service and of workers."""
    if request.param == "embedded":
        yield {"WORKER_CONCURRENCY": "2"}
        return
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    with redis_server(tmp_path) as url:
        yield {"REDIS_URL": url, "WORKER_CONCURRENCY": "2"}


def told(name: str, data_dir: Path, **variables: str) -> Any:
    """What a function of real_jobs.py returns, in a process with this data directory."""
    path = os.pathsep.join([str(APPLICATION), str(REPOSITORY)])
    done = run("-c", IN_THE_APPLICATION, name, FACE_DATA_DIR=str(data_dir), PYTHONPATH=path, **variables)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@contextmanager
def worker(data_dir: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """`manage.py jobs worker`, with its processes in a group of its own, which is killed at the end."""
    with (data_dir / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "jobs", "worker"],
            env=environment(FACE_DATA_DIR=str(data_dir), **variables),
            cwd=APPLICATION,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 2 * PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.2)


def test_every_kind_is_done_by_workers_that_are_killed_meanwhile(tmp_path: Path, broker: dict[str, str]) -> None:
    (tmp_path / "face.sqlite3").touch()
    made = run("manage.py", "migrate", FACE_DATA_DIR=str(tmp_path))
    assert made.returncode == 0, made.stderr
    asked = told("ask_for_every_kind", tmp_path, **broker)
    with worker(tmp_path, **broker):
        wait_until(lambda: told("begun", tmp_path), "a job is begun")
    with worker(tmp_path, **broker):
        wait_until(lambda: told("all_have_ended", tmp_path), "all jobs have ended")
    found = told("results", tmp_path)
    assert found.keys() == set(asked)
    assert {name: one["status"] for name, one in found.items()} == dict.fromkeys(asked, "succeeded"), found
    assert found["find_duplicates"]["result"]["pairs"] == 1
    assert found["export_subject"]["result"]["templates"] == 1
    assert found["erase_subject"]["result"]["receipt"].count(".") == 2
    assert [one["templates"] for one in found["rotate_keys"]["result"]["rotated"]] == [found["rotate_keys"]["total"]]
    assert found["pad_report"]["result"]["sessions"] == 2
    assert found["reembed"]["result"]["moved"] == []
    assert {"expired", "applied"} == found["retention"]["result"].keys()
    assert found["summarise_outcomes"]["result"] == {"summaries": 2}
    assert found["rebuild_index"]["result"]["rebuilt"][0]["tenant"] == "acme"
    assert found["calibrate"]["result"]["subjects"] >= 200
    trail = told("actors_of_the_trail", tmp_path)
    assert trail == {kind: ["key", "fk_7d0a4f backend"] for kind in trail}, (
        "whoever asked is the actor of what was done"
    )
    assert {"template_key_rotated", "subject_erased", "subject_exported", "duplicate_found"} <= trail.keys()

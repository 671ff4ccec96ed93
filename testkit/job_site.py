"""Real job workers in processes of their own, with a data directory of their own."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from testkit.environment import clean_environment
from testkit.families import family, kill_family
from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY

T = TypeVar("T")

MANAGE = str(REPOSITORY / "face_recognition_app" / "manage.py")

SUBMIT = """
import json, sys
from jobs.submitting import NewJob, submit_many
from vocabulary.jobs import JobType, Priority

for type_, payload, priority, count in json.load(sys.stdin):
    submit_many(None, [NewJob(JobType(type_), payload, Priority(priority))] * count)
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    type: str
    payload: dict[str, Any]
    count: int = 1
    priority: str = "normal"


@dataclass(frozen=True, slots=True)
class Row:
    id: int
    status: str
    failures: int
    error: str
    worker: str

    @property
    def process(self) -> int:
        return int(self.worker.rpartition(":")[2])


class JobSite:
    """A database in SQLite with what is needed to run jobs in it. `redis_url`: "" for the embedded worker."""

    def __init__(self, directory: Path, redis_url: str = "") -> None:
        self.data_dir = directory / "var"
        self._redis_url = redis_url
        self.data_dir.mkdir(parents=True)
        (self.data_dir / "face.sqlite3").touch()  # As manage.py prepare does, which fetches models, too.
        self.manage("migrate", "--verbosity=0")

    def environment(self, **variables: str) -> dict[str, str]:
        own = {"FACE_DATA_DIR": str(self.data_dir), "REDIS_URL": self._redis_url}
        return {**clean_environment(), **own, "PYTHONPATH": str(REPOSITORY / "face_recognition_app"), **variables}

    def manage(self, *arguments: str, text: str = "", **variables: str) -> str:
        return subprocess.run(
            [sys.executable, MANAGE, *arguments],
            env=self.environment(**variables),
            input=text,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        ).stdout

    def submit(self, *wanted: Wanted) -> None:
        asked = [[one.type, one.payload, one.priority, one.count] for one in wanted]
        self.manage("shell", "--no-imports", "-c", SUBMIT, text=json.dumps(asked))

    def rows(self) -> list[Row]:
        with closing(sqlite3.connect(f"file:{self.data_dir}/face.sqlite3?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT id, status, failures, error, worker FROM jobs_job ORDER BY id")
            return [Row(*row) for row in found]

    def statuses(self) -> Counter[str]:
        return Counter(row.status for row in self.rows())

    @contextmanager
    def worker(self, **variables: str) -> Iterator[Worker]:
        """`manage.py jobs worker` until the block ends."""
        log = self.data_dir / "worker.out"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, MANAGE, "jobs", "worker"],
                env=self.environment(**{"LOG_FORMAT": "json", "WORKER_CONCURRENCY": "2", **variables}),
                stdout=output,
                stderr=output,
            )
        try:
            yield Worker(process, log)
        finally:
            end(process)


@dataclass(frozen=True, slots=True)
class Worker:
    process: subprocess.Popen[bytes]
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged as JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def said(self, message: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["message"] == message]

    def children(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.process.pid).children()}


def end(process: subprocess.Popen[bytes]) -> None:
    """Tell it to end; after a while end it and all that it has started by force."""
    members = family(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for left in psutil.wait_procs(members, 5)[1]:
        kill_family(left.pid)


def wait_for(found: Callable[[], T | None], what: str) -> T:
    """Wait until `found` gives something that counts as true."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if value := found():
            return value
        time.sleep(0.1)
    raise AssertionError(f"not in time: {what}")

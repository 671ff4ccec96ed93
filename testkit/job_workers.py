"""Real job workers beside a test, on the database that the test uses."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import psutil
import redis
from django.conf import settings
from django.db import connection

from config.job_settings import job_settings
from jobs.broker import application, state
from jobs.models import Job
from testkit.families import family, kill_family
from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY
from vocabulary.jobs import UNFINISHED

MANAGE = REPOSITORY / "face_recognition_app" / "manage.py"


@dataclass(frozen=True, slots=True)
class JobProcess:
    """`manage.py jobs worker` or `scheduler`, with the processes that it has started."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def family(self) -> list[psutil.Process]:
        return family(self.pid)

    def kill(self) -> None:
        kill_family(self.pid)
        self.process.wait(PATIENCE_S)

    def kill_child(self, choose: Callable[[list[psutil.Process]], psutil.Process]) -> bool:
        """Kill the one that is chosen of those that it has started; false if there was none, or it had ended."""
        children = self.family()[1:]
        if not children:
            return False
        try:
            choose(children).kill()
        except psutil.NoSuchProcess:
            return False
        return True

    def stop(self) -> int:
        """Tell it to end; returns its exit status."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)


@contextmanager
def job_process(directory: Path, action: str = "worker", **variables: str) -> Iterator[JobProcess]:
    log = directory / f"{action}-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, str(MANAGE), "jobs", action],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "face_recognition_app"), **place(), **variables},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    found = JobProcess(process, log)
    try:
        yield found
    finally:
        if process.poll() is None:
            found.kill()


def place() -> Mapping[str, str]:
    """Variables that lead another process to the database of the test that runs now."""
    own = connection.settings_dict
    common = {"FACE_DATA_DIR": str(settings.FACE.data_dir), "DJANGO_SETTINGS_MODULE": "face_app.settings"}
    if connection.vendor == "postgresql":
        host = own["OPTIONS"]["host"]
        return {**common, "DATABASE_URL": f"postgresql://{own['USER']}@/{own['NAME']}?host={host}"}
    file = settings.FACE.data_dir / "face.sqlite3"
    if not file.exists():
        file.symlink_to(own["NAME"])
    return common


@contextmanager
def publishing_to(url: str) -> Iterator[None]:
    """Let this process, and those that it starts, use this Redis, which is emptied; empty: none."""
    with patch.dict(os.environ, {"REDIS_URL": url}):
        _forget_settings()
        if url:
            with redis.Redis.from_url(url) as client:
                client.flushall()
        try:
            yield
        finally:
            if url:
                application.application().close()
                state.connection().client.close()
    _forget_settings()


def _forget_settings() -> None:
    job_settings.cache_clear()
    application.application.cache_clear()
    state.connection.cache_clear()


def ended(jobs: Sequence[Job], patience_s: float = PATIENCE_S) -> list[Job]:
    """The jobs, once all of them have ended."""
    pks = [job.pk for job in jobs]
    left = Job.across_tenants.filter(pk__in=pks, status__in=UNFINISHED)
    until(lambda: not left.exists(), patience_s)
    return list(Job.across_tenants.filter(pk__in=pks).order_by("pk"))


def until(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.05)

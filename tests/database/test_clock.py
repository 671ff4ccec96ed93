"""One time for all processes, which a step of the machine's clock does not change."""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from django.db import connection

from database import clock
from tenants.models import Tenant
from testkit import loopback
from testkit.databases import using_postgresql
from testkit.service import LiveService, free_port, running_command
from tests.clocks import STEPS_S, step
from tests.processes import APPLICATION, run

ANSWER_TIMEOUT_S = 60.0

LOADED_BY_THE_CONFIGURATION = """
import runpy, sys
runpy.run_path("gunicorn_config.py")
print(*(name for name in ("database.clock", "django") if name in sys.modules))
"""

ANSWERS_ITS_READING = """
import os
from database import clock


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Connection", "close")])
    return [f"{os.getpid()} {clock._started_at_s!r}".encode()]
"""


def near(found: datetime) -> bool:
    """Far less than the step, and far more than a busy machine's delay."""
    return abs(found - datetime.now(UTC)) < timedelta(minutes=30)


@pytest.mark.parametrize("seconds", STEPS_S)
@pytest.mark.usefixtures("each_database")
def test_a_step_of_the_machines_clock_changes_nothing(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    before = clock.now()
    step(monkeypatch, seconds)
    after = clock.now()
    assert before.tzinfo is after.tzinfo is UTC
    assert before <= after
    assert near(after)


@pytest.mark.usefixtures("each_database")
def test_a_query_has_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "postgresql":  # As in a worker whose machine's clock was set since the master's start.
        monkeypatch.setattr(clock, "_started_at_s", clock._started_at_s + STEPS_S[0])
    before = clock.now()
    Tenant.objects.create(name="acme")
    Tenant.objects.update(created_at=clock.in_query())
    assert before <= Tenant.objects.get().created_at <= clock.now()
    assert Tenant.objects.filter(created_at__lte=clock.in_query()).exists()
    assert not Tenant.objects.filter(created_at__gt=clock.in_query()).exists()


@pytest.mark.usefixtures("transactional_db")
def test_postgresql_is_asked_and_not_the_machine(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers may be on several machines, whose clocks differ."""
    monkeypatch.setattr(clock, "_started_at_s", clock._started_at_s + STEPS_S[0])
    with using_postgresql(postgresql_url):
        assert near(clock.now())


def test_gunicorns_configuration_loads_no_django(tmp_path: Path) -> None:
    done = run("-c", LOADED_BY_THE_CONFIGURATION, FACE_DATA_DIR=str(tmp_path))
    assert done.stdout.split() == ["database.clock"], done.stderr


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL], ids=["reload", "death"])
def test_every_worker_of_a_master_has_its_reading_of_the_clock(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "answers_its_reading.py").write_text(ANSWERS_ITS_READING)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "answers_its_reading:application", "-c", "gunicorn_config.py"]
    options = ["-k", "sync", "-w", "1", "-b", f"127.0.0.1:{port}"]
    path = {"PYTHONPATH": f"{APPLICATION}:{tmp_path}"}
    with running_command([*command, *options], port, tmp_path, APPLICATION, path) as master:
        worker, reading = answer_of(master)
        os.kill(master.pid if number == signal.SIGHUP else worker, number)
        assert successor_of(master, worker) == reading


def answer_of(master: LiveService) -> tuple[int, str]:
    worker, reading = loopback.get(master.base_url).text.split()
    return int(worker), reading


def successor_of(master: LiveService, worker: int) -> str:
    """The reading of the worker that answers in place of `worker`."""
    end = time.monotonic() + ANSWER_TIMEOUT_S
    while time.monotonic() < end:
        try:
            other, reading = answer_of(master)
        except httpx.TransportError:
            continue
        if other != worker:
            return reading
        time.sleep(0.05)
    raise AssertionError(f"no other worker answered: {master.log.read_text()[-2000:]}")

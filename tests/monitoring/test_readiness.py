from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from pytest_django import DjangoDbBlocker

from config.settings import load
from monitoring import readiness
from monitoring.readiness import Report, SharedCheck, check_components
from testkit.service import free_port

NEWEST = MigrationLoader(None).graph.leaf_nodes("gallery")[0]
"""A migration that is missing in the database of an older version."""

pytestmark = pytest.mark.usefixtures("transactional_db", "forgotten_migrations", "run_dir")


@pytest.fixture
def forgotten_migrations() -> Iterator[None]:
    """Forget the cached result of the migrations' check."""
    readiness._migrations.cache_clear()
    yield
    readiness._migrations.cache_clear()


@pytest.fixture
def run_dir() -> None:
    """Make the run directory, as a started worker does."""
    settings.FACE.run_dir.mkdir(exist_ok=True)


@pytest.fixture
def migration_not_applied(transactional_db: None) -> Iterator[None]:
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied(*NEWEST)
    yield
    recorder.record_applied(*NEWEST)


PROBE: Any = {"type": "http"}


def components() -> Report:
    report: Report = {}
    check_components(report)
    return report


OK = dict.fromkeys(("database", "migrations", "data_dir", "run_dir"), "ok")


def test_a_worker_that_can_work_is_ok_in_every_component() -> None:
    assert components() == OK


@pytest.mark.usefixtures("migration_not_applied")
def test_missing_migrations_are_reported() -> None:
    assert components() == {**OK, "migrations": "missing"}


def test_a_worker_becomes_ready_once_the_migrations_are_applied() -> None:
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied(*NEWEST)
    try:
        assert components()["migrations"] == "missing"
    finally:
        recorder.record_applied(*NEWEST)
    assert components()["migrations"] == "ok"


def test_a_database_that_cannot_be_opened_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    connection.close()
    with monkeypatch.context() as broken:
        broken.setitem(connection.settings_dict, "NAME", str(tmp_path))
        report = components()
        connection.close()
    assert (report["database"], report["migrations"]) == ("unavailable", "unavailable")


def test_a_redis_that_does_not_answer_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    monkeypatch.setattr(settings, "FACE", settings.FACE.model_copy(update={"redis_url": url}))
    assert components() == {**OK, "redis": "unavailable"}


def test_the_report_has_no_address_and_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "FACE", load({"REDIS_URL": f"redis://:hunter2@127.0.0.1:{free_port()}/0"}))
    assert components()["redis"] == "unavailable"


def test_a_check_never_raises(django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.block():
        assert components()["database"] == "unavailable"


def test_a_missing_directory_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gone = settings.FACE.model_copy(update={"data_dir": tmp_path / "gone", "run_dir": tmp_path / "gone"})
    monkeypatch.setattr(settings, "FACE", gone)
    assert components() == {**OK, "data_dir": "unavailable", "run_dir": "unavailable"}


def test_the_check_of_a_disk_leaves_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "FACE", settings.FACE.model_copy(update={"data_dir": tmp_path}))
    assert components() == OK
    assert list(tmp_path.iterdir()) == []


async def test_requests_share_a_check_that_hangs_and_are_told_on_what() -> None:
    checks: list[None] = []
    goes_on = asyncio.Event()

    async def hanging(_: object, report: Report) -> None:
        checks.append(None)
        report["database"] = "unavailable"
        await goes_on.wait()
        report["database"] = "ok"

    shared = SharedCheck(hanging, timeout_s=0.01)
    told = {"database": "unavailable", "check": "unavailable"}
    assert await asyncio.gather(*[shared(PROBE) for _ in range(10)]) == [told] * 10
    assert len(checks) == 1
    goes_on.set()
    await asyncio.sleep(0)
    assert await shared(PROBE) == {"database": "ok"}


async def test_the_next_request_after_a_check_makes_another() -> None:
    states = iter(["unavailable", "ok"])

    async def check(_: object, report: Report) -> None:
        report["database"] = next(states)

    shared = SharedCheck(check)
    assert [await shared(PROBE), await shared(PROBE)] == [{"database": "unavailable"}, {"database": "ok"}]

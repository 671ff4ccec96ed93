from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from pytest_django import DjangoDbBlocker

from ops import readiness
from ops.readiness import check_components
from ops.settings import load
from tools.service import free_port

pytestmark = pytest.mark.usefixtures("transactional_db", "forgotten_migrations")


@pytest.fixture
def forgotten_migrations() -> Iterator[None]:
    """Migrations are looked at once, and then known; here they are looked at again."""
    readiness._migrations.cache_clear()
    yield
    readiness._migrations.cache_clear()


@pytest.fixture
def migration_not_applied(transactional_db: None) -> Iterator[None]:
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied("gallery", "0001_initial")
    yield
    recorder.record_applied("gallery", "0001_initial")


def test_a_worker_that_can_work_is_ok_in_every_component() -> None:
    assert check_components() == {"models": "ok", "database": "ok", "migrations": "ok"}


@pytest.mark.usefixtures("migration_not_applied")
def test_missing_migrations_are_told() -> None:
    assert check_components() == {"models": "ok", "database": "ok", "migrations": "missing"}


def test_a_worker_that_was_not_ready_is_once_the_migrations_are_applied() -> None:
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied("gallery", "0001_initial")
    try:
        assert check_components()["migrations"] == "missing"
    finally:
        recorder.record_applied("gallery", "0001_initial")
    assert check_components()["migrations"] == "ok"


def test_a_database_that_cannot_be_opened_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    connection.close()
    with monkeypatch.context() as broken:
        broken.setitem(connection.settings_dict, "NAME", str(tmp_path))
        report = check_components()
        connection.close()
    assert (report["database"], report["migrations"]) == ("unavailable", "unavailable")


def test_a_redis_that_is_set_and_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "FACE", load({"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}))
    assert check_components() == {"models": "ok", "database": "ok", "migrations": "ok", "redis": "unavailable"}


def test_what_is_told_has_no_address_and_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "FACE", load({"REDIS_URL": f"redis://:hunter2@127.0.0.1:{free_port()}/0"}))
    assert check_components()["redis"] == "unavailable"


def test_a_check_never_raises(django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.block():
        assert check_components()["database"] == "unavailable"

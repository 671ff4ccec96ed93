from __future__ import annotations

import os
import re
import runpy
import secrets
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from tests.processes import APPLICATION, run

SERVERS = ("DATABASE_URL", "REDIS_URL", "REDIS_CACHE_ENABLED")
STRONG = "Zk3-unguessable-and-long-enough-9Qx7"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("FACE_") or name in SERVERS]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FACE_DATA_DIR", str(tmp_path))


def django_settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(APPLICATION / "face_app" / "settings.py"))


def test_with_nothing_set_everything_is_in_the_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = django_settings(monkeypatch)
    assert found["DATABASES"]["default"]["NAME"] == str(tmp_path / "face.sqlite3")
    assert found["SECRET_KEY"] == (tmp_path / "keys" / "secret-key").read_text()
    assert "CACHES" not in found
    assert found["DEBUG"] is False
    assert found["ALLOWED_HOSTS"] == ["*"]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the tests run on another database")
@pytest.mark.parametrize(("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)])
@pytest.mark.usefixtures("transactional_db")
def test_sqlite_writes_ahead_and_loses_nothing_that_was_committed(pragma: str, value: object) -> None:
    with connection.cursor() as cursor:
        assert cursor.execute(f"PRAGMA {pragma}").fetchone() == (value,)


def test_one_variable_turns_on_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    database = django_settings(monkeypatch, DATABASE_URL="postgresql://me:secret@db:5433/face")["DATABASES"]["default"]
    assert database["ENGINE"] == "database.postgresql"
    assert (database["HOST"], database["PORT"], database["NAME"], database["USER"]) == ("db", 5433, "face", "me")
    assert database["CONN_HEALTH_CHECKS"] is True
    assert database["OPTIONS"]["connect_timeout"] == 2


def test_the_address_of_the_database_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql://me:secret@db/face?connect_timeout=10&sslmode=require"
    options = django_settings(monkeypatch, DATABASE_URL=url)["DATABASES"]["default"]["OPTIONS"]
    assert (options["connect_timeout"], options["sslmode"]) == (10, "require")


def test_redis_is_a_cache_where_it_is_wanted_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "CACHES" not in django_settings(monkeypatch, REDIS_URL="redis://cache:6379/1")
    found = django_settings(monkeypatch, REDIS_CACHE_ENABLED="true", REDIS_MAX_CONNECTIONS="7")["CACHES"]["default"]
    assert (found["LOCATION"], found["OPTIONS"]["max_connections"]) == ("redis://cache:6379/1", 7)


def test_in_production_only_named_hosts_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    production = {"APP_ENV": "production", "FACE_SECRET_KEY": STRONG}
    assert django_settings(monkeypatch, **production)["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]
    found = django_settings(monkeypatch, **production, FACE_ALLOWED_HOSTS="face.example")
    assert (found["ALLOWED_HOSTS"], found["SECRET_KEY"]) == (["face.example"], STRONG)


def test_a_wrong_environment_ends_every_command_with_a_sentence(tmp_path: Path) -> None:
    done = run("manage.py", "check", APP_ENV="production", FACE_DATA_DIR=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith("configuration error: FACE_SECRET_KEY must be at least 32 random characters")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_project_passes_djangos_own_checks(tmp_path: Path) -> None:
    done = run("manage.py", "check", "--fail-level", "WARNING", FACE_DATA_DIR=str(tmp_path))
    assert done.returncode == 0, done.stderr


def test_production_passes_djangos_checks_for_it(tmp_path: Path) -> None:
    production = {"APP_ENV": "production", "FACE_SECRET_KEY": secrets.token_urlsafe(48), "FACE_DATA_DIR": str(tmp_path)}
    done = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **production)
    assert done.returncode == 0, done.stderr


def test_a_check_that_is_silenced_has_its_reason_beside_it() -> None:
    source = (APPLICATION / "face_app" / "settings.py").read_text()
    silenced = re.findall(r'^    "(security\.W\d+)",(.*)$', source, re.MULTILINE)
    assert [check for check, _ in silenced] == settings.SILENCED_SYSTEM_CHECKS
    assert [check for check, reason in silenced if not reason.startswith("  # ")] == []


def test_every_change_of_a_model_has_its_migration(tmp_path: Path) -> None:
    done = run("manage.py", "makemigrations", "--check", "--dry-run", FACE_DATA_DIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr

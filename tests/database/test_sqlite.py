"""A SQLite file that is moved or replaced while it is open."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from pytest_django import DjangoDbBlocker

from database.sqlite import base
from database.sqlite.base import DatabaseWrapper

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="the tests run on another database")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return new_file(tmp_path / "face.sqlite3", "old")


def new_file(path: Path, name: str) -> Path:
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE name AS SELECT ? AS name", [name])
        database.commit()
    return path


@pytest.fixture
def served(
    path: Path, django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DatabaseWrapper]:
    """A thread's connection as the service has it; `name` is what its file holds."""
    monkeypatch.setattr(base, "REPLACEMENT_SETTLE_S", 0.0)
    options = {**connection.settings_dict["OPTIONS"], "mode": "rw"}
    found = DatabaseWrapper({**connection.settings_dict, "NAME": str(path), "CONN_MAX_AGE": None, "OPTIONS": options})
    with django_db_blocker.unblock():
        yield found
        found.close()


def name_in(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return str(database.execute("SELECT name FROM name").fetchone()[0])


def name(served: DatabaseWrapper) -> str:
    """Like every call, test the connection first."""
    served.close_if_unusable_or_obsolete()
    with served.cursor() as cursor:
        return str(cursor.execute("SELECT name FROM name").fetchone()[0])


def rename(served: DatabaseWrapper, to: str) -> None:
    served.close_if_unusable_or_obsolete()
    with served.cursor() as cursor:
        cursor.execute("UPDATE name SET name = %s", [to])


def test_a_missing_file_is_not_made(path: Path, served: DatabaseWrapper) -> None:
    path.unlink()
    with pytest.raises(OperationalError):
        name(served)
    assert not path.exists()


@pytest.mark.parametrize("how", ["moved", "deleted"])
def test_a_moved_file_is_not_read_and_not_written(how: str, path: Path, served: DatabaseWrapper) -> None:
    rename(served, "older")
    away = path.with_name("away")
    path.rename(away) if how == "moved" else path.unlink()
    for _ in range(2):
        with pytest.raises(OperationalError):
            rename(served, "lost")
    assert not path.exists()
    if how == "moved":
        assert name_in(away) == "older", "what was only in the log has gone into its own file"
        away.rename(path)
        assert name(served) == "older"


def test_a_commit_into_a_moved_file_fails(path: Path, served: DatabaseWrapper) -> None:
    assert name(served) == "old"
    served.set_autocommit(False)
    with served.cursor() as cursor:
        cursor.execute("UPDATE name SET name = 'lost'")
    path.rename(path.with_name("away"))
    with pytest.raises(OperationalError):
        served.commit()


def test_a_replacing_file_is_opened_after_a_moment(
    path: Path, served: DatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename(served, "older")
    monkeypatch.setattr(base, "REPLACEMENT_SETTLE_S", 3_600.0)
    new_file(path.with_name("new"), "new").rename(path)
    for _ in range(2):
        with pytest.raises(OperationalError):
            name(served)
    monkeypatch.setattr(base, "REPLACEMENT_SETTLE_S", 0.0)
    assert name(served) == "new"
    rename(served, "newer")
    assert name(served) == "newer"


def test_a_replacing_file_is_not_opened_beside_the_old_log(path: Path, served: DatabaseWrapper) -> None:
    rename(served, "older")
    with contextlib.closing(sqlite3.connect(path)) as reader:  # Keeps the log from being emptied.
        reader.execute("BEGIN")
        reader.execute("SELECT name FROM name").fetchone()
        new_file(path.with_name("new"), "new").rename(path)
        with served.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 10")
        with pytest.raises(OperationalError, match="put it back"):
            name(served)


def test_a_path_may_have_the_special_characters_of_uris(tmp_path: Path, served: DatabaseWrapper) -> None:
    odd = new_file(tmp_path / "what?mode=ro#100%25.sqlite3", "odd")
    served.settings_dict["NAME"] = str(odd)
    rename(served, "odder")
    assert name(served) == "odder"

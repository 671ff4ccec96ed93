"""The table that says what each value is and where it came from."""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping
from pathlib import Path

import pytest
from gunicorn.config import Config

from config.job_settings import load_job_settings
from config.settings import Settings, load
from config.sizing.machine import Machine
from server.explained import rows as module
from server.explained.__main__ import main, table
from server.explained.origins import GUNICORN_NAMES, Source
from server.explained.rows import Row, rows
from tests.processes import APPLICATION

GIB = 1 << 30
STRONG = "Zk3-unguessable-and-long-enough-9Qx7"
CONTAINER = Machine(64, 2.0, memory_bytes=3 * GIB, memory_is_limited=True, installed_bytes=4 * GIB)


@pytest.fixture(autouse=True)
def container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUNICORN_CMD_ARGS", raising=False)
    monkeypatch.setattr("config.groups.server.this_machine", lambda: CONTAINER)


def explained(environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> dict[str, Row]:
    given = {"APP_ENV": "production", "FACE_SECRET_KEY": STRONG, **environ}
    found = list(rows(Source(load(given), given, flags or {}), load_job_settings(given), CONTAINER))
    assert len({row.name for row in found}) == len(found)
    return {row.name: row for row in found}


def test_every_setting_is_there_with_its_meaning() -> None:
    found = explained({})
    assert {field.alias for field in Settings.model_fields.values()} <= found.keys()
    assert all(row.meaning for row in found.values())


@pytest.mark.parametrize(
    ("environ", "flags", "value", "origin"),
    [
        ({}, {}, "2", "measured machine"),
        ({"WORKER_PROFILE": "maximum"}, {}, "5", "profile maximum"),
        ({"WORKER_PROFILE": "environment"}, {}, "5", "profile environment"),
        ({"WORKER_PROFILE": "maximum", "API_WORKERS": "12"}, {}, "12", "environment API_WORKERS"),
        ({"GUNICORN_WORKERS": "3", "API_WORKERS": "12"}, {}, "3", "environment"),
        ({"GUNICORN_WORKERS": "4"}, {"GUNICORN_WORKERS": "--workers"}, "4", "flag --workers"),
    ],
)
def test_where_the_number_of_workers_came_from(
    environ: dict[str, str], flags: dict[str, str], value: str, origin: str
) -> None:
    row = explained(environ, flags)["GUNICORN_WORKERS"]
    assert (row.value, row.origin) == (value, origin)


def test_other_settings_tell_their_origin_too() -> None:
    found = explained({"GUNICORN_TIMEOUT": "30", "WORKER_CONNECTIONS": "2000", "FACE_DATA_DIR": "/data"})
    assert (found["GUNICORN_TIMEOUT"].value, found["GUNICORN_TIMEOUT"].origin) == ("30", "environment")
    assert (found["GUNICORN_KEEPALIVE"].value, found["GUNICORN_KEEPALIVE"].origin) == ("65", "default")
    connections = found["FACE_MAX_CONNECTIONS"]
    assert (connections.value, connections.origin) == ("2000", "environment WORKER_CONNECTIONS")
    assert (found["FACE_RUN_DIR"].value, found["FACE_RUN_DIR"].origin) == ("/data/run", "environment FACE_DATA_DIR")


def test_what_gunicorn_takes_from_its_own_variable_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--workers 7 --backlog 64")
    found = explained({"GUNICORN_WORKERS": "3"})
    assert (found["GUNICORN_WORKERS"].value, found["GUNICORN_WORKERS"].origin) == ("7", "GUNICORN_CMD_ARGS")
    assert (found["GUNICORN_BACKLOG"].value, found["GUNICORN_BACKLOG"].origin) == ("64", "GUNICORN_CMD_ARGS")
    assert found["instances"].value == f"{7 * 8}"


def test_gunicorn_has_each_setting_that_its_variable_can_set() -> None:
    assert set(GUNICORN_NAMES.values()) <= Config().settings.keys()
    assert set(GUNICORN_NAMES.values()) <= runpy.run_path(str(APPLICATION / "gunicorn_config.py")).keys()


def test_the_machine_is_the_container() -> None:
    found = explained({})
    assert (found["cores"].value, found["cores"].origin) == ("2", "cgroup")
    assert "64 without it" in found["cores"].meaning
    assert (found["memory"].value, found["memory"].origin) == ("4096 MiB", "cgroup")


def test_what_follows_is_shown() -> None:
    found = explained(
        {"DATABASE_URL": "postgresql://u:secret@db/face", "REDIS_URL": "redis://:secret@r/0", "FACE_DRAIN_S": "60"}
    )
    assert (found["compute threads"].value, found["compute threads"].origin) == ("1", "measured machine")
    assert found["instances"].value == "16"
    assert found["graceful time-out"].value == "85 s"
    assert found["job worker beside"].value == "no"
    assert found["PostgreSQL connections"].value == "20"
    assert found["Redis connections"].value == "20"
    assert found["DATABASE_URL"].value == "postgresql://...@db/face"
    assert found["REDIS_URL"].value == "redis://...@r/0"
    assert "PostgreSQL connections" not in explained({}), "SQLite has none"


def test_no_secret_is_printed() -> None:
    found = explained({"FACE_TEMPLATE_KEY": "a-secret-key"})
    assert found["FACE_SECRET_KEY"].value == found["FACE_TEMPLATE_KEY"].value == "set, not shown"
    assert not any("secret-key" in row.value for row in found.values())


def test_more_workers_than_memory_has_room_for_are_told() -> None:
    assert explained({})["memory of workers"].meaning.startswith("estimate for all workers")
    assert "fewer workers" in explained({"GUNICORN_WORKERS": "40"})["memory of workers"].meaning


def test_a_backlog_that_the_system_cuts_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    allowed = tmp_path / "somaxconn"
    allowed.write_text("128\n")
    monkeypatch.setattr(module, "SOMAXCONN", allowed)
    assert explained({})["GUNICORN_BACKLOG"].meaning.startswith("The system allows only 128.")
    allowed.write_text("4096\n")
    assert "allows only" not in explained({})["GUNICORN_BACKLOG"].meaning


def test_lines_are_aligned_and_fit_the_terminal() -> None:
    lines = list(table([Row("A", "1", "default", "word " * 40), Row("LONGER", "22", "flag --x", "short")], 80))
    assert lines[0].split() == ["SETTING", "VALUE", "FROM", "MEANING"]
    assert {line.index("default") for line in lines if "default" in line} == {lines[0].index("FROM")}
    assert max(map(len, lines)) <= 80
    assert len(lines) > 4, "long ones go on in the next line"


def test_a_wrong_value_is_told_and_nothing_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "environ", {"WORKER_PROFILE": "fast"})
    monkeypatch.setattr("server.explained.__main__.load", lambda: load({"WORKER_PROFILE": "fast"}))
    assert main([]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("configuration error: WORKER_PROFILE='fast': Input should be")

"""Where lines go: `set_up_logs` in a process of its own, as every process of the service calls it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from config.groups.logs import LogSettings
from logs.destinations import OUR_LOGGERS, BadLogFile, handlers_of, log_file, this_process
from testkit.service import REPOSITORY
from tests.processes import run

WEB = this_process("web", "web")

SAYING = """
import logging, sys
from pathlib import Path
from config.settings import load
from logs.destinations import log_file, set_up_logs, this_process

settings = load()
set_up_logs(settings, this_process("web", "web"), log_file(settings, settings.data_dir, "web"))
for name in ("recognition.streaming", "uvicorn.error", "websockets.server", "django.db.backends"):
    logging.getLogger(name).debug("debug of %s", name)
    logging.getLogger(name).info("info of %s", name)
logging.getLogger("django.request").warning("told 503", extra={"status_code": 503})
logging.getLogger("uvicorn.access").info("an access line")
"""


def said(tmp_path: Path, **variables: str) -> list[str]:
    done = run("-c", SAYING, FACE_DATA_DIR=str(tmp_path), **variables)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def test_at_debug_the_service_says_more_and_libraries_do_not(tmp_path: Path) -> None:
    """Their lines at debug have what they handle: the messages of sockets, values of statements."""
    messages = [re.sub(r".*\] ", "", line) for line in said(tmp_path, GUNICORN_LOG_LEVEL="debug")]
    assert [one for one in messages if one.startswith("debug")] == ["debug of recognition.streaming"]
    assert len([one for one in messages if one.startswith("info")]) == 4
    assert messages[-1] == "an access line"


@pytest.mark.parametrize(("level", "lines"), [("info", 4), ("warning", 0), ("error", 0)])
def test_the_level_changes_what_is_said(tmp_path: Path, level: str, lines: int) -> None:
    assert len(said(tmp_path, GUNICORN_LOG_LEVEL=level)) == lines


def test_lines_of_json_go_to_the_file_and_not_to_the_console(tmp_path: Path) -> None:
    assert said(tmp_path, LOG_FORMAT="json", LOG_FILE_ENABLED="1", LOG_CONSOLE_ENABLED="0") == []
    lines = [json.loads(line) for line in (tmp_path / "log" / "web.log").read_text().splitlines()]
    assert lines[0]["message"] == "info of recognition.streaming"
    assert {(line["mode"], line["time"][-1], line["tenant"]) for line in lines} == {("web", "Z", None)}


def test_no_other_user_can_read_the_file(tmp_path: Path) -> None:
    said(tmp_path, LOG_FILE_ENABLED="1")
    assert (tmp_path / "log" / "web.log").stat().st_mode & 0o007 == 0


def test_every_room_is_one_of_our_loggers() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert set(OUR_LOGGERS) == set(project["tool"]["importlinter"]["root_packages"])


def test_a_file_that_cannot_be_written_is_told_with_its_variable() -> None:
    settings = LogSettings.model_validate({"LOG_FILE_ENABLED": True, "LOG_FILE_PATH": "/dev/null/web.log"})
    with pytest.raises(BadLogFile, match=r"^LOG_FILE_PATH=/dev/null/web\.log: "):
        handlers_of(settings, WEB, log_file(settings, Path("/data"), "web"))

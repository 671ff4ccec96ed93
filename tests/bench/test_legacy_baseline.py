"""The legacy baseline parses its script's output, and creates its environment once or says why it cannot."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from bench.legacy.baseline import Command, LegacyError, LegacyResult, ensure_environment, parse

RESULT = LegacyResult(
    frames=600,
    found=598,
    frames_per_second=120.0,
    cpu_ms_per_frame=8.25,
    wall_ms_per_frame=16.5,
    cores=1.0,
    process_threads=20,
    rss_mb=291.5,
)


class FakeRun:
    """Creates what the commands would create, without a network; a command with the word `fails` ends with 1."""

    def __init__(self, folder: Path, fails: str | None = None) -> None:
        self.commands: list[list[str]] = []
        self._folder = folder
        self._fails = fails

    def __call__(self, command: Command) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in command]
        self.commands.append(words)
        if self._fails in words:
            return subprocess.CompletedProcess(words, 1, "", "WARNING: trying again\nERROR: no such index\n")
        if "venv" in words:
            (self._folder / "bin").mkdir(parents=True, exist_ok=True)
            (self._folder / "bin" / "python").touch()
        return subprocess.CompletedProcess(words, 0, "", "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "legacy-env"


def test_the_line_comes_back_as_it_was() -> None:
    assert parse(json.dumps(asdict(RESULT)) + "\n") == RESULT


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Traceback",
        "[]",
        json.dumps({"frames": 600}),
        json.dumps(asdict(RESULT) | {"cores": None}),
        json.dumps(asdict(RESULT) | {"frames": "600"}),
        json.dumps(asdict(RESULT)) * 2,
    ],
)
def test_another_line_is_refused(line: str) -> None:
    with pytest.raises(LegacyError, match="not what the legacy FaceMesh prints"):
        parse(line)


def test_the_environment_is_made_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = FakeRun(folder)
    assert ensure_environment(folder, run) == folder / "bin" / "python"
    assert ensure_environment(folder, run) == folder / "bin" / "python"
    venv, pip = run.commands
    assert venv[:3] == [sys.executable, "-m", "venv"]
    assert pip[0] == str(folder / "bin" / "python")
    assert {"--require-hashes", "--no-deps"} <= set(pip)
    shown = capsys.readouterr()
    assert shown.err.count(f"making {folder}") == 1
    assert shown.out == ""


def test_an_environment_of_other_requirements_is_made_anew(folder: Path) -> None:
    ensure_environment(folder, FakeRun(folder))
    (folder / "requirements.stamp").write_text("another")
    run = FakeRun(folder)
    ensure_environment(folder, run)
    assert len(run.commands) == 2


@pytest.mark.parametrize("step", ["venv", "pip"])
def test_an_environment_that_cannot_be_made_says_why_and_is_tried_again(folder: Path, step: str) -> None:
    with pytest.raises(LegacyError, match=r"cannot be made; it needs CPython 3\.11 or 3\.12.*(?s:.*)no such index"):
        ensure_environment(folder, FakeRun(folder, fails=step))
    run = FakeRun(folder)
    ensure_environment(folder, run)
    assert len(run.commands) == 2

"""scripts/test_lanes.sh runs every test once, and fails when a lane fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from testkit.service import REPOSITORY

FAKE_PYTHON = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
echo "lane: $*"
case $* in
*"$FAULTY"*) exit "$STATUS" ;;
esac
"""

PATIENT_PYTHON = """#!/usr/bin/env bash
[[ $* == *pytest* ]] || exit 0
trap 'echo interrupted >>"$CALLS"; exit 2' INT
echo running >>"$CALLS"
for ((i = 0; i < 600; i++)); do sleep 0.1; done
"""


def make_project(root: Path, python: str) -> Path:
    """A project with the real script and this instead of Python."""
    (root / "scripts").mkdir()
    shutil.copy(REPOSITORY / "scripts" / "test_lanes.sh", root / "scripts")
    (root / ".venv" / "bin").mkdir(parents=True)
    fake = root / ".venv" / "bin" / "python"
    fake.write_text(python)
    fake.chmod(0o755)
    (root / "calls").touch()
    return root


def environment(project: Path, faulty: str = "nothing fails", status: int = 1) -> dict[str, str]:
    variables = {"CALLS": str(project / "calls"), "FAULTY": faulty, "STATUS": str(status), "TMPDIR": str(project)}
    return {**os.environ, **variables}


def run_lanes(project: Path, faulty: str = "nothing fails", status: int = 1) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [project / "scripts" / "test_lanes.sh"],
        env=environment(project, faulty, status),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def calls(project: Path) -> list[str]:
    return (project / "calls").read_text().splitlines()


def test_each_test_is_in_one_lane(tmp_path: Path) -> None:
    project = make_project(tmp_path, FAKE_PYTHON)
    done = run_lanes(project)
    assert (done.returncode, done.stderr) == (0, "")
    erase, *lanes, report = calls(project)
    assert (erase, report) == ("-m coverage erase", "-m coverage report")
    *plain, traced = sorted(lanes, key=lambda call: "coverage" in call)
    folders = [folder for lane in plain for folder in lane.removeprefix("-m pytest ").split()]
    ignored = [option.removeprefix("--ignore=") for option in traced.removeprefix("-m coverage run -m pytest ").split()]
    assert len(plain) == 2
    assert sorted(ignored) == sorted(set(folders)) == sorted(folders)
    assert all((REPOSITORY / folder).is_dir() for folder in folders)
    assert all(f"lane: {lane}\n" in done.stdout for lane in lanes)


@pytest.mark.parametrize(
    ("faulty", "told"),
    [
        ("coverage run", "tests with the tracer"),
        ("-m pytest tests/service", "tests/service"),
        ("-m pytest tests/bench", "tests/bench tests/core/liveness tests/demo tests/server tests/testkit"),
        ("coverage report", "coverage"),
    ],
)
@pytest.mark.parametrize("status", [1, 139], ids=["a failure", "a crash"])
def test_what_fails_is_told(tmp_path: Path, faulty: str, told: str, status: int) -> None:
    project = make_project(tmp_path, FAKE_PYTHON)
    done = run_lanes(project, faulty, status)
    assert (done.returncode, done.stderr) == (1, f"test_lanes.sh: failed: {told}\n")
    assert len(calls(project)) == 5


def test_an_interrupt_ends_every_lane(tmp_path: Path) -> None:
    project = make_project(tmp_path, PATIENT_PYTHON)
    with subprocess.Popen([project / "scripts" / "test_lanes.sh"], env=environment(project)) as script:
        while calls(project).count("running") < 3:
            assert script.poll() is None
            time.sleep(0.01)
        script.send_signal(signal.SIGINT)
        assert script.wait(timeout=60) == 130
    assert calls(project).count("interrupted") == 3

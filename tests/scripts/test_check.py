"""scripts/check.sh runs every check and every test once, and a lane that fails fails the whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from testkit.patience import PATIENCE_S
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

FAKE_SCRIPT = """#!/usr/bin/env bash
exec "$(dirname "$0")/../.venv/bin/python" "$(basename "$0")"
"""

PYTEST_LANES = 5


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def make_project(root: Path, python: str) -> Path:
    """A project with the real script, and this instead of Python and of the other scripts."""
    executable(root / ".venv" / "bin" / "python", python)
    for name in ("lint.sh", "check_pythons.sh"):
        executable(root / "scripts" / name, FAKE_SCRIPT)
    shutil.copy(REPOSITORY / "scripts" / "check.sh", root / "scripts")
    (root / "calls").touch()
    return root


def environment(project: Path, faulty: str = "nothing fails", status: int = 1) -> dict[str, str]:
    variables = {"CALLS": str(project / "calls"), "FAULTY": faulty, "STATUS": str(status), "TMPDIR": str(project)}
    return {**os.environ, **variables}


def run_check(project: Path, faulty: str = "nothing fails", status: int = 1) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [project / "scripts" / "check.sh"],
        env=environment(project, faulty, status),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def calls(project: Path) -> list[str]:
    return (project / "calls").read_text().splitlines()


def test_every_check_is_made_once_and_each_test_is_in_one_lane(tmp_path: Path) -> None:
    project = make_project(tmp_path, FAKE_PYTHON)
    done = run_check(project)
    assert (done.returncode, done.stderr) == (0, "")
    assert "check.sh: every check passed" in done.stdout
    erase, *lanes, report = calls(project)
    assert (erase, report) == ("-m coverage erase", "-m coverage report")
    assert all(f"lane: {lane}\n" in done.stdout for lane in lanes)

    assert [lane for lane in lanes if "pytest" not in lane] == ["lint.sh", "-m tools.licences", "check_pythons.sh"]
    taken = [folders(lane) for lane in lanes if "pytest" in lane and "coverage" not in lane]
    [traced] = [folders(lane) for lane in lanes if "coverage" in lane]
    assert traced.tests == {"tests"}
    assert traced.ignored == {folder for lane in taken for folder in lane.tests}
    assert sum(len(lane.tests) for lane in taken) == len(traced.ignored)
    assert not any(lane.ignored for lane in taken)
    assert all((REPOSITORY / folder).is_dir() for lane in taken for folder in lane.tests)


@dataclass(frozen=True)
class Folders:
    tests: set[str]
    ignored: set[str]


def folders(call: str) -> Folders:
    """What a call of pytest runs, and what not."""
    arguments = call.split("-m pytest")[1].split()
    ignored = {option.removeprefix("--ignore=") for option in arguments if option.startswith("--ignore=")}
    return Folders({option for option in arguments if not option.startswith("-")} or {"tests"}, ignored)


@pytest.mark.parametrize(
    ("faulty", "told"),
    [
        ("lint.sh", "static"),
        ("tools.licences", "static"),
        ("check_pythons.sh", "static"),
        ("coverage run", "traced"),
        ("-m pytest tests/service/faults", "faults"),
        ("-m pytest tests/service/sessions", "sessions"),
        ("-m pytest tests/demo", "doors"),
        ("-m pytest tests/bench", "pictures"),
        ("coverage report", "coverage"),
    ],
)
@pytest.mark.parametrize("status", [1, 139], ids=["a failure", "a crash"])
def test_what_fails_is_told(tmp_path: Path, faulty: str, told: str, status: int) -> None:
    project = make_project(tmp_path, FAKE_PYTHON)
    done = run_check(project, faulty, status)
    assert (done.returncode, done.stderr) == (1, f"check.sh: failed: {told}\n")
    assert len(calls(project)) == len(("erase", "lint", "licences", "pythons", "report")) + PYTEST_LANES


def test_an_interrupt_ends_every_lane(tmp_path: Path) -> None:
    project = make_project(tmp_path, PATIENT_PYTHON)
    with subprocess.Popen([project / "scripts" / "check.sh"], env=environment(project)) as script:
        while calls(project).count("running") < PYTEST_LANES:
            assert script.poll() is None
            time.sleep(0.01)
        script.send_signal(signal.SIGINT)
        assert script.wait(timeout=PATIENCE_S) == 130
    assert calls(project).count("interrupted") == PYTEST_LANES

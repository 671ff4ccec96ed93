"""scripts/check.sh runs every check and every test once, and a lane that fails fails the whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY

FAKE_PYTHON = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
echo "lane: $*"
case $* in
*"$FAULTY"*)
    echo "FAILED tests/test_it.py::test_it - assert 1 == 2"
    exit "$STATUS"
    ;;
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

SOON_S = 0.5
STATIC_CHECKS = 3
PYTEST_LANES = 8
AT_ONCE = int(subprocess.run(["nproc"], capture_output=True, check=True).stdout) + 1


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


def run_check(
    project: Path, *arguments: str, faulty: str = "nothing fails", status: int = 1
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [project / "scripts" / "check.sh", *arguments],
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
    lanes = calls(project)
    assert all(f"lane: {lane}\n" in done.stdout for lane in lanes)

    assert [lane for lane in lanes if "pytest" not in lane] == ["lint.sh", "-m tools.licences", "check_pythons.sh"]
    parts = [folders(lane) for lane in lanes if "pytest" in lane]
    [others] = [part for part in parts if part.ignored]
    taken = [part for part in parts if part is not others]
    assert others.tests == {"tests"}
    assert others.ignored == {folder for lane in taken for folder in lane.tests}
    assert sum(len(lane.tests) for lane in taken) == len(others.ignored)
    assert all((REPOSITORY / folder).is_dir() for lane in taken for folder in lane.tests)


def test_lines_are_counted_where_it_is_asked(tmp_path: Path) -> None:
    project = make_project(tmp_path, FAKE_PYTHON)
    assert run_check(project, "--coverage").returncode == 0
    *lanes, combine, report = calls(project)
    assert (combine, report) == ("-m coverage combine --quiet", "-m coverage report")
    traced = sorted(lane for lane in lanes if "coverage" in lane)
    assert len(traced) == 3
    assert traced[0].startswith("-m coverage run -m pytest --ignore=")
    assert traced[1].startswith("-m coverage run -m pytest tests/gallery")
    assert traced[2].startswith("-m coverage run -m pytest tests/jobs")
    assert len(lanes) == STATIC_CHECKS + PYTEST_LANES


def test_what_it_does_not_know_is_refused(tmp_path: Path) -> None:
    project = make_project(tmp_path, FAKE_PYTHON)
    done = run_check(project, "--fast")
    assert (done.returncode, done.stderr) == (2, "check.sh: unknown argument '--fast', see --help\n")
    assert not calls(project)


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
        ("-m pytest --ignore", "others"),
        ("-m pytest tests/gallery", "gallery"),
        ("-m pytest tests/jobs", "jobs"),
        ("-m pytest tests/service/faults", "faults"),
        ("-m pytest tests/service/sessions", "sessions"),
        ("-m pytest tests/server", "doors"),
        ("-m pytest tests/demo", "page"),
        ("-m pytest tests/bench", "pictures"),
    ],
)
@pytest.mark.parametrize("status", [1, 139], ids=["a failure", "a crash"])
def test_what_fails_is_told(tmp_path: Path, faulty: str, told: str, status: int) -> None:
    project = make_project(tmp_path, FAKE_PYTHON)
    done = run_check(project, faulty=faulty, status=status)
    assert done.returncode == 1
    assert done.stderr == f"check.sh: failed: {told}\nFAILED tests/test_it.py::test_it - assert 1 == 2\n"
    assert len(calls(project)) == STATIC_CHECKS + PYTEST_LANES


@pytest.mark.parametrize("step", ["combine", "report"])
def test_too_few_lines_fail(tmp_path: Path, step: str) -> None:
    project = make_project(tmp_path, FAKE_PYTHON)
    done = run_check(project, "--coverage", faulty=f"coverage {step}")
    assert (done.returncode, done.stderr) == (1, "check.sh: failed: coverage\n")


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Children that may be interrupted; those of a shell in the background may not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_every_lane_that_runs_and_no_more_run_than_the_cores_bear(tmp_path: Path) -> None:
    project = make_project(tmp_path, PATIENT_PYTHON)
    with subprocess.Popen([project / "scripts" / "check.sh"], env=environment(project)) as script:
        while calls(project).count("running") < min(AT_ONCE, PYTEST_LANES):
            assert script.poll() is None
            time.sleep(0.01)
        time.sleep(SOON_S)
        script.send_signal(signal.SIGINT)
        assert script.wait(timeout=PATIENCE_S) == 130
    assert calls(project).count("running") == min(AT_ONCE, PYTEST_LANES)
    assert calls(project).count("interrupted") == min(AT_ONCE, PYTEST_LANES)

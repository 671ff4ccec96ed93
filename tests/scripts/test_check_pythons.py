"""scripts/check_pythons.sh names the Pythons it found, and fails when a check fails with one of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from testkit.service import REPOSITORY
from tests.scripts.shell import programs

OWN = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the real script, this Python, and a mypy that finds a fault for the version FAULTY.
    `programs` holds no Python but one that is called python3."""
    (tmp_path / "scripts").mkdir()
    for name in ("check_pythons.sh", "setup.sh"):
        shutil.copy(REPOSITORY / "scripts" / name, tmp_path / "scripts")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    mypy = tmp_path / ".venv" / "bin" / "mypy"
    mypy.write_text('#!/bin/sh\necho "mypy $@"\n[ "$2" != "$FAULTY" ]\n')
    mypy.chmod(0o755)
    path = programs(tmp_path / "programs")
    for name in ("cat", "mkdir", "mktemp"):
        (path / name).symlink_to(str(shutil.which(name)))
    return tmp_path


def check_pythons(project: Path, *arguments: str, faulty: str = "") -> subprocess.CompletedProcess[str]:
    variables = {"PATH": str(project / "programs"), "HOME": str(project), "TMPDIR": str(project), "FAULTY": faulty}
    return subprocess.run(
        [project / "scripts" / "check_pythons.sh", *arguments],
        env={**os.environ, **variables, "PYENV_ROOT": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )


def versions(project: Path) -> list[str]:
    found = re.search(r"For each Python of ([0-9. ]+),", check_pythons(project, "--help").stdout)
    assert found is not None
    return found.group(1).split()


def test_it_knows_every_python_that_is_supported(project: Path) -> None:
    stated = SpecifierSet(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["requires-python"])
    assert versions(project) == [f"3.{minor}" for minor in range(50) if f"3.{minor}" in stated]


def test_a_python_that_is_not_here_is_named_and_the_types_of_the_newest_are_checked(project: Path) -> None:
    newest = versions(project)[-1]
    done = check_pythons(project)
    assert (done.returncode, done.stderr) == (0, "")
    told = dict(re.findall(r"^== (.+)\n((?:(?!==).*\n)*)", done.stdout, re.MULTILINE))
    assert told.pop("types") == f"mypy --python-version {newest}\n"
    assert told.pop(f"Python {OWN}") == "every check runs with it\n"
    assert len(told) == 2
    for text in told.values():
        assert "not tested with it: it is not on this machine" in text


def test_what_fails_fails(project: Path) -> None:
    done = check_pythons(project, faulty=versions(project)[-1])
    assert done.returncode == 1
    assert "check_pythons.sh: failed: types\n" in done.stderr

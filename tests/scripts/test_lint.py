"""scripts/lint.sh finds each kind of fault, and pre-commit runs the same checks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testkit.service import REPOSITORY
from tests.scripts.shell import programs

LINT = REPOSITORY / "scripts" / "lint.sh"
ALONE = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
"""The environment without git's variables for hooks: this test may run in one."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the real script, the real configuration and tools, and nothing to check but that."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".ci").mkdir()
    shutil.copy(LINT, tmp_path / "scripts")
    shutil.copy(REPOSITORY / ".ci" / "run", tmp_path / ".ci")
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def lint(project: Path, *arguments: str, path: str = ALONE["PATH"]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [project / "scripts" / "lint.sh", *arguments],
        env={**ALONE, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("check", "name", "text", "complaint"),
    [
        ("ruff", "module.py", "import os\n", "F401"),
        ("ruff", "module.py", "from time import time\n\nnow = time()\n", "TID251"),
        ("ruff", "module.py", "import time\n\nnow = time.time()\n", "TID251"),
        ("ruff", "module.py", "from datetime import UTC, datetime\n\nnow = datetime.now(UTC)\n", "TID251"),
        ("ruff", "module.py", "from django.utils import timezone\n\nnow = timezone.now()\n", "TID251"),
        ("ruff", "face_recognition_app/demo/module.py", "from django.db import models\n\nF = models.F\n", "TID253"),
        ("ruff", "face_recognition_app/recognition/api/module.py", "import django.db as d\n\nd.models\n", "TID253"),
        ("format", "module.py", "x = 'text'\n", "would be reformatted"),
        ("shellcheck", "scripts/some.sh", "#!/bin/sh\nrm $1/*\n", "SC2086"),
        ("codespell", "notes.md", "recieved\n", "received"),  # codespell:ignore recieved
        ("end-of-file", "notes.md", "no newline", "notes.md: does not end with one newline"),
        ("end-of-file", "notes.md", "two newlines\n\n", "notes.md: does not end with one newline"),
    ],
)
def test_it_finds_what_is_wrong(project: Path, check: str, name: str, text: str, complaint: str) -> None:
    assert lint(project, check).returncode == 0
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    (project / name).write_text(text)
    done = lint(project, check)
    assert done.returncode == 1
    assert complaint in done.stdout + done.stderr
    assert f"lint.sh: failed: {check}" in done.stderr


def test_binary_files_empty_files_and_what_the_service_keeps_are_no_texts(project: Path) -> None:
    (project / "picture.png").write_bytes(b"\x89PNG\x00")
    (project / "empty.md").touch()
    (project / "var").mkdir()
    (project / "var" / "demo-api-key").write_text("no newline")
    assert lint(project, "end-of-file").returncode == 0


def test_a_check_that_cannot_run_has_not_passed(project: Path) -> None:
    (project / ".venv").unlink()
    done = lint(project, "codespell", path=str(programs(project / "programs")))
    assert done.returncode == 1
    assert "codespell: command not found" in done.stderr


def test_a_check_that_is_not_there_is_refused(project: Path) -> None:
    done = lint(project, "no-such-check")
    assert done.returncode == 1
    assert "unknown check 'no-such-check'" in done.stderr


def test_pre_commit_runs_every_check_and_no_other(project: Path) -> None:
    shutil.copy(REPOSITORY / ".pre-commit-config.yaml", project)
    called = project / "called"
    (project / "scripts" / "lint.sh").write_text(f'#!/bin/sh\necho "$@" >>{called}\n')
    (project / "module.py").touch()
    subprocess.run(["git", "init", "--quiet", project], env=ALONE, check=True)
    subprocess.run(["git", "-C", project, "add", "--all"], env=ALONE, check=True)
    environment = {**ALONE, "PRE_COMMIT_HOME": str(project / "home")}
    subprocess.run([sys.executable, "-m", "pre_commit", "run", "--all-files"], cwd=project, env=environment, check=True)
    assert called.read_text().split() == lint(REPOSITORY, "--list").stdout.split()

"""scripts/audit.sh reports what it checked, and never takes a missing answer for success."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from testkit.service import REPOSITORY

FAKE_PYTHON = """#!/bin/sh
# python3 -m venv DIRECTORY; DIRECTORY/bin/python -m pip ...; DIRECTORY/bin/python -m pip_audit ... --output FILE ...
case $2 in
venv) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
pip) exit "$PIP_ENDS" ;;
pip_audit)
    echo "$@" >"$ASKED"
    while [ "$1" != --output ]; do shift; done
    [ -z "$FINDINGS" ] || echo "$FINDINGS" >"$2"
    exit "$AUDIT_ENDS" ;;
esac
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory for PATH whose python3 is a pip and a pip-audit that end as the variables say."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "python3").write_text(FAKE_PYTHON)
    (folder / "python3").chmod(0o755)
    return folder


def audit(
    programs: Path, *arguments: str, pip: int = 0, findings: str = "", ends: int = 0
) -> subprocess.CompletedProcess[str]:
    (programs / "scratch").mkdir()
    variables = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "TMPDIR": str(programs / "scratch"),
        "ASKED": str(programs / "asked"),
        "PIP_ENDS": str(pip),
        "FINDINGS": findings,
        "AUDIT_ENDS": str(ends),
    }
    done = subprocess.run(
        [REPOSITORY / "scripts" / "audit.sh", *arguments], env=variables, capture_output=True, text=True, check=False
    )
    assert list((programs / "scratch").iterdir()) == [], "the environment is thrown away"
    return done


def test_without_advisories_it_succeeds_and_all_was_asked(programs: Path) -> None:
    assert audit(programs, "--ignore-vuln", "X-1").returncode == 0
    asked = (programs / "asked").read_text()
    assert f"{REPOSITORY}/requirements/dev.lock" in asked
    assert "--strict" in asked
    assert asked.endswith("--ignore-vuln X-1\n")


def test_advisories_are_printed(programs: Path) -> None:
    done = audit(programs, findings="django 5.2.0 X-1", ends=1)
    assert (done.returncode, done.stdout) == (1, "django 5.2.0 X-1\n")


def test_an_advisory_service_that_cannot_be_asked_is_no_success(programs: Path) -> None:
    done = audit(programs, ends=1)
    assert done.returncode == 3
    assert "NOT CHECKED: the advisory service could not be asked" in done.stderr


def test_without_a_network_it_says_so(programs: Path) -> None:
    done = audit(programs, pip=1)
    assert done.returncode == 3
    assert "NOT CHECKED: pip-audit could not be installed, is there a network?" in done.stderr
    assert not (programs / "asked").exists()

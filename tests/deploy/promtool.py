"""Prometheus' own checker."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from testkit.service import REPOSITORY


def found() -> str:
    """Its path; skips the test where it is not."""
    program = shutil.which("promtool", path=f"{REPOSITORY / 'var' / 'tools'}:/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("promtool is not here; ./run_tests.sh brings it")
    return program


def run(promtool: str, *arguments: str | Path, given: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [promtool, *map(str, arguments)]
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=120, check=False)

"""Programs of the development dependencies that check files for containers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


def run(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert found is not None, f"{name} comes with requirements/dev.lock: ./run_tests.sh installs it"
    return subprocess.run([found, *arguments], capture_output=True, text=True, timeout=120, check=False)


def output_of(name: str, *arguments: str | Path) -> str:
    """What the program prints, which is something. That it ends with 0 says little: docker-compose always does."""
    done = run(name, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout, done.stderr
    return done.stdout

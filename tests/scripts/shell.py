"""Runs the scripts of the repository's root, and what scripts/setup.sh defines."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from testkit.environment import clean_environment
from testkit.service import REPOSITORY

# Of coreutils and bash, which every system has.
PROGRAMS = ("bash", "basename", "dirname", "env", "id", "readlink", "rm", "sha256sum", "sleep", "touch")


def programs(folder: Path) -> Path:
    """A directory for PATH with nothing but PROGRAMS and this Python."""
    folder.mkdir()
    for name in PROGRAMS:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    (folder / "python3").symlink_to(Path(sys.executable).resolve())
    return folder


def start_setup(root: Path, commands: str, **variables: str) -> subprocess.Popen[str]:
    """Runs `commands` after scripts/setup.sh, as if `root` were the project's directory."""
    script = f"""set -euo pipefail
        source {REPOSITORY}/scripts/setup.sh
        root={root} venv={root}/.venv python={root}/.venv/bin/python
        find_python
        {commands}"""
    environment = {"PATH": os.environ["PATH"], "HOME": str(root), **variables}
    return subprocess.Popen(
        ["bash", "-c", script],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_setup(root: Path, commands: str, **variables: str) -> subprocess.CompletedProcess[str]:
    process = start_setup(root, commands, **variables)
    stdout, stderr = process.communicate(timeout=120)
    return subprocess.CompletedProcess(commands, process.returncode, stdout, stderr)


def run_script(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Call a script of the root, from elsewhere, with `variables` for settings."""
    return subprocess.run(
        [REPOSITORY / name, *arguments],
        env={**clean_environment(), **variables},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

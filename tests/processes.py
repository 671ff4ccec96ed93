"""Other processes, for what must hold between them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from testkit.environment import clean_environment
from testkit.service import REPOSITORY

APPLICATION = REPOSITORY / "face_recognition_app"


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without its own settings, and with `variables`."""
    return {**clean_environment(), "PYTHONPATH": str(APPLICATION), **variables}


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments from the application's directory until it ends."""
    return subprocess.run(
        [sys.executable, *command],
        env=environment(**variables),
        cwd=APPLICATION,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def living(script: str, *arguments: str | Path, **variables: str) -> AbstractContextManager[subprocess.Popen[str]]:
    """A process that runs `script`, which prints a line when it is ready and then waits for a line."""
    return living_command([sys.executable, "-c", script, *map(str, arguments)], **variables)


@contextmanager
def living_command(command: list[str], **variables: str) -> Iterator[subprocess.Popen[str]]:
    """The same of a whole command."""
    process = subprocess.Popen(
        command, env=environment(**variables), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()

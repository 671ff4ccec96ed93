"""An installation that is started and ended by ./service.sh, with a data directory and a port of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from testkit.environment import clean_environment
from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY, LiveService, free_port

SCRIPT = str(REPOSITORY / "service.sh")


@dataclass(frozen=True, slots=True)
class ScriptSite:
    data_dir: Path
    port: int
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Call the script, with its output in one text."""
        own = {
            "FACE_DATA_DIR": str(self.data_dir),
            "FACE_MODEL_DIR": os.environ.get("FACE_MODEL_DIR", str(REPOSITORY / "var" / "models")),
            "GUNICORN_BIND": f"127.0.0.1:{self.port}",
        }
        return subprocess.run(
            [SCRIPT, *arguments],
            env={**clean_environment(), **own, **self.variables, **variables},
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=4 * PATIENCE_S,
            check=False,
        )

    def must(self, *arguments: str, **variables: str) -> str:
        done = self.run(*arguments, **variables)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def status(self) -> Any:
        return json.loads(self.must("status", "--json"))

    def pid(self, name: str = "service") -> int:
        return int((self.data_dir / "run" / f"{name}.pid").read_text())

    def live(self) -> LiveService:
        """The service that runs now."""
        key, log = (self.data_dir / "demo-api-key").read_text(), self.data_dir / "log" / "service.log"
        return LiveService(f"http://127.0.0.1:{self.port}", key, self.data_dir, self.pid(), log)

    def processes(self) -> list[psutil.Process]:
        """Every living process that has this data directory in its environment."""
        return [one for one in psutil.process_iter() if _has(one, str(self.data_dir))]


def _has(process: psutil.Process, data_dir: str) -> bool:
    try:
        alive = process.status() != psutil.STATUS_ZOMBIE
        return alive and process.environ().get("FACE_DATA_DIR") == data_dir
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


@contextmanager
def script_site(directory: Path, **variables: str) -> Iterator[ScriptSite]:
    site = ScriptSite(directory / "var", free_port(), variables)
    try:
        yield site
    finally:
        site.run("stop")
        for process in site.processes():
            process.kill()

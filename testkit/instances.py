"""Several instances of the service with one database and one data directory, as behind a proxy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.load.sessions import ENVIRONMENT
from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY, LiveService, free_port, running_command

NEXT_VERSION = "99.0.0"


@dataclass(frozen=True, slots=True)
class Site:
    """What instances share. `public_url` is that of their proxy."""

    directory: Path
    database_url: str
    public_url: str

    @property
    def data_dir(self) -> Path:
        return self.directory / "data"

    @property
    def api_key(self) -> str:
        return (self.data_dir / "demo-api-key").read_text()

    @contextmanager
    def instance(self, name: str, *, tree: Path = REPOSITORY) -> Iterator[LiveService]:
        """Run an instance of the version in `tree` until the block ends; enters it when the instance is ready."""
        directory = self.directory / name
        directory.mkdir()
        environment = self._environment(directory / "run")
        application = tree / "face_recognition_app"
        self._prepare(application)
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", "face_app.asgi:application", "-c", "gunicorn_config.py"]
        address = ["-w", "1", "-b", f"127.0.0.1:{port}"]
        with running_command([*command, *address], port, directory, application, environment) as service:
            yield replace(service, api_key=self.api_key)

    def _prepare(self, application: Path) -> None:
        """Migrate the database and make the keys. All instances have this run directory, and with it one lock."""
        environment = {**os.environ, **self._environment(self.directory / "prepare")}
        subprocess.run(
            [sys.executable, "manage.py", "prepare"], cwd=application, env=environment, check=True, timeout=PATIENCE_S
        )

    def _environment(self, run_dir: Path) -> dict[str, str]:
        return {
            **ENVIRONMENT,
            "APP_ENV": "production",
            "DATABASE_URL": self.database_url,
            "DJANGO_SETTINGS_MODULE": "face_app.settings",
            "FACE_DATA_DIR": str(self.data_dir),
            "FACE_DEMO": "1",
            "FACE_DRAIN_S": "2",
            "FACE_MODEL_DIR": os.environ.get("FACE_MODEL_DIR", str(REPOSITORY / "var" / "models")),
            "FACE_PUBLIC_URL": self.public_url,
            "FACE_RUN_DIR": str(run_dir),
            "FACE_SECRET_KEY": "Zk3-unguessable-and-long-enough-9Qx7",
            "PYTHONPATH": "",
        }


def next_version(directory: Path) -> Path:
    """A copy of the service as its next version: with another number, and checkpoints that this one cannot read."""
    tree = directory / "next"
    unneeded = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "face_recognition_app", tree / "face_recognition_app", ignore=unneeded)
    project = (REPOSITORY / "pyproject.toml").read_text()
    (tree / "pyproject.toml").write_text(re.sub(r'^version = ".*"', f'version = "{NEXT_VERSION}"', project, flags=re.M))
    checkpoints = tree / "face_recognition_app" / "recognition" / "sessions" / "checkpoints.py"
    text, numbers = re.subn(
        r"^VERSION = (\d+)", lambda found: f"VERSION = {int(found[1]) + 1}", checkpoints.read_text(), flags=re.M
    )
    text, steps = re.subn(r"^(_STEPS.* = \(.*?)(\w+)\)$", r"\1\2, \2)", text, flags=re.M)
    assert (numbers, steps) == (1, 1)
    checkpoints.write_text(text)
    script = tree / "face_recognition_app" / "demo" / "static" / "demo" / "style.css"
    script.write_text(f"{script.read_text()}\n/* {NEXT_VERSION} */\n")
    return tree

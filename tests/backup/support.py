"""manage.py of an installation that a test has for itself."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY

KEY = "q83vEjRWeJq83vEjRWeJq83vEjRWeJq83vEjRWeJq80="


@dataclass(frozen=True, slots=True)
class Installation:
    data_dir: Path
    variables: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str | Path, typed: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "FACE_DATA_DIR": str(self.data_dir), "FACE_BACKUP_KEY": KEY}
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        return subprocess.run(
            [sys.executable, "face_recognition_app/manage.py", *map(str, arguments)],
            cwd=REPOSITORY,
            env={**environment, **self.variables, **variables},
            input=typed,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def manage(self, *arguments: str | Path, **variables: str) -> str:
        done = self.run(*arguments, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str | Path, typed: str = "", **variables: str) -> str:
        """What a command says that is to fail, in words and without a traceback."""
        done = self.run(*arguments, typed=typed, **variables)
        assert done.returncode == 1, done.stdout
        assert done.stderr.startswith("CommandError: "), done.stderr
        return done.stderr

    def files(self) -> dict[str, bytes]:
        """All that would be missed; without the files of a connection to SQLite."""
        found = sorted(path for path in self.data_dir.rglob("*") if path.is_file())
        names = {path: path.relative_to(self.data_dir).as_posix() for path in found}
        return {
            name: path.read_bytes() for path, name in names.items() if not name.startswith(("run/", "face.sqlite3-"))
        }

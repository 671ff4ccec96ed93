"""Commands of a service of their own, in processes as an operator starts them."""

from __future__ import annotations

import os
import pwd
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from testkit.service import REPOSITORY


class Manage:
    """Runs manage.py on a data directory of its own."""

    user = pwd.getpwuid(os.getuid()).pw_name

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._environment = {**os.environ, "FACE_DATA_DIR": str(data_dir), "LOGNAME": "somebody-else"}
        self._environment.pop("DJANGO_SETTINGS_MODULE", None)

    def __call__(self, *arguments: str) -> str:
        command = [sys.executable, "face_recognition_app/manage.py", *arguments]
        done = subprocess.run(
            command, cwd=REPOSITORY, env=self._environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        database = sqlite3.connect(self._data_dir / "face.sqlite3")
        try:
            return database.execute(query).fetchall()
        finally:
            database.close()


@pytest.fixture
def manage(tmp_path: Path) -> Manage:
    manage = Manage(tmp_path)
    manage("prepare")
    return manage

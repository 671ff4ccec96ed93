"""A real job worker beside a test, on the database that the test uses."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import psutil
from django.conf import settings
from django.db import connection

from testkit.patience import PATIENCE_S
from tests.processes import APPLICATION, environment


@contextmanager
def worker(**variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """`manage.py jobs worker`, embedded, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, str(APPLICATION / "manage.py"), "jobs", "worker"],
        env=environment(FACE_WEBHOOK_ALLOW="127.0.0.0/8", **_place(), **variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End the worker and its processes, as a machine does that loses its power."""
    if process.poll() is not None:
        return
    own = psutil.Process(process.pid)
    family = [own, *own.children(recursive=True)]
    for one in family:
        one.suspend()
    for one in family:
        one.kill()
    process.wait(PATIENCE_S)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not happen"
        time.sleep(0.05)


def _place() -> Mapping[str, str]:
    """Variables that lead another process to the database and the keys of this one."""
    own, data_dir = connection.settings_dict, settings.FACE.data_dir
    common = {"FACE_DATA_DIR": str(data_dir)}
    if connection.vendor == "postgresql":
        return {**common, "DATABASE_URL": f"postgresql://{own['USER']}@/{own['NAME']}?host={own['OPTIONS']['host']}"}
    file = data_dir / "face.sqlite3"
    if not file.exists():
        file.symlink_to(own["NAME"])
    return common

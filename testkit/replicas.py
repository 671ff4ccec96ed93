"""A real streaming replica of a PostgreSQL server of testkit.servers."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg

from testkit.patience import PATIENCE_S
from testkit.servers import PostgreSQL


@contextmanager
def replica_of(server: PostgreSQL) -> Iterator[str]:
    """URL of a second server that follows the first one; both are reached by sockets in their directories."""
    main = Path(server.url.partition("host=")[2])
    programs = _programs(main)
    owner = main.stat().st_uid
    for note in main.glob(".*.json"):  # The package's own, in the data that the server copies.
        note.chmod(0o644)
    with tempfile.TemporaryDirectory(prefix="face-tests-replica-") as directory:
        folder = Path(directory)
        os.chown(folder, owner, -1)
        data = folder / "data"
        copy = [
            programs / "pg_basebackup",
            "-h",
            main,
            "-U",
            "postgres",
            "-D",
            data,
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
        ]
        subprocess.run(list(map(str, copy)), user=owner, cwd=folder, check=True, timeout=PATIENCE_S)
        serve = [programs / "postgres", "-D", data, "-h", "", "-k", folder]
        process = subprocess.Popen(
            list(map(str, serve)), user=owner, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            url = f"postgresql://postgres@/postgres?host={folder}"
            _wait(url)
            yield url
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _programs(data: Path) -> Path:
    """Where the programs of the running server are: a replica needs the same version."""
    pid = int((data / "postmaster.pid").read_text().splitlines()[0])
    return Path(psutil.Process(pid).exe()).parent


def _wait(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return

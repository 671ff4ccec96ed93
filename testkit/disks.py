"""Small disks for tests, each visible only in the mount namespace of the process that uses it."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

_MOUNT = 'mount -t tmpfs -o "size=$1" tmpfs "$2" && shift 2 && exec "$@"'


def with_small_disk(mount_point: Path, size: str, command: list[str]) -> list[str]:
    """Wrap `command` to run with an empty disk of this size at `mount_point`; it keeps its process id."""
    own_mounts = ["unshare", "--mount", "--propagation", "private"]
    return [*own_mounts, "sh", "-c", _MOUNT, "sh", size, str(mount_point), *command]


def seen_by(pid: int, path: Path) -> Path:
    """`path` as the process sees it, reachable from other mount namespaces."""
    return Path(f"/proc/{pid}/root{path}")


def fill(directory: Path, name: str = "filler") -> Path:
    """Fill the disk of `directory` to the last byte; returns the file of this name that fills it."""
    filler = directory / name
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(b"\0" * size)
        assert os.statvfs(directory).f_bavail == 0
    return filler


def _allowed() -> bool:
    try:
        done = subprocess.run(with_small_disk(Path("/mnt"), "64k", ["true"]), capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


needs_small_disks = pytest.mark.skipif(
    os.geteuid() != 0 or not _allowed(), reason="mounting a small disk is not allowed here: it takes root and unshare"
)

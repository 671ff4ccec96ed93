"""A process that goes on when its starter has ended, and the file that says which.

The file is locked by the process itself and by those it forks, for as long as one of them lives: no process id has to
be trusted, and a file that nobody locks is stale. The process leads a session, so that its children can be found.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from config.processes.locks import is_free
from supervision.processes import is_alive

_INHERITED_FROM = 20
"""Descriptors below it are used by shell scripts."""


class AlreadyRuns(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Daemon:
    """`name`: as in "the NAME runs"."""

    name: str
    pid_file: Path
    log: Path

    @property
    def runs(self) -> bool:
        """Whether the process, or one that it has forked, lives."""
        return not is_free(self.pid_file)

    @property
    def pid(self) -> int | None:
        """What the file says, alive or not; None if it says nothing."""
        try:
            text = self.pid_file.read_text().strip()
        except FileNotFoundError:
            return None
        return int(text) if text.isdecimal() else None

    @property
    def leader(self) -> int | None:
        """The process, if it lives; None also when only children are left of it."""
        pid = self.pid
        return pid if pid is not None and self.runs and is_alive(pid) else None

    def launch(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start `command`, which writes to the end of the log. Raises AlreadyRuns."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self.pid_file) as descriptor, self.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(descriptor,),
            )
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{process.pid}\n".encode(), 0)
        return process

    def forget(self) -> None:
        """Remove the file, unless somebody has it."""
        with suppress(AlreadyRuns, FileNotFoundError), _locked(self.pid_file):
            self.pid_file.unlink()


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """A descriptor of the file with its lock, which processes that inherit it keep. Raises AlreadyRuns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    descriptor = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, _INHERITED_FROM)
    os.close(opened)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRuns from error
        if not path.exists() or os.fstat(descriptor).st_ino != path.stat().st_ino:
            raise AlreadyRuns  # Removed by who had the lock: somebody starts or stops it at this moment.
        yield descriptor
    finally:
        os.close(descriptor)

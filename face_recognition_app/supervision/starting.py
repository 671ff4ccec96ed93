"""Starts a process and waits until it is ready, or says why it is not."""

from __future__ import annotations

import re
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from supervision import health
from supervision.daemons import Daemon
from supervision.places import settings_of
from supervision.processes import Gone, command_of

Say = Callable[[str], None]

LIMIT_S = 300.0
"""As the unit's TimeoutStartSec: a first start fetches models."""
ANSWERS_WITHIN_S = 30.0
"""How long what has said that it is ready may take until it also answers so."""
SETTLES_S = 2.0
"""How long a job worker, which says nothing when it is ready, must have lived."""
LOOKS_EVERY_S = 0.2
LAST_LINES = 25
_PROGRESS = re.compile(r"\[\d/\d\] |      \S")
"""Lines of scripts/setup.sh."""


class NotStarted(Exception):
    """The message says why, with the end of the log."""


@dataclass(frozen=True, slots=True)
class Start:
    """`environment` is the whole one of the new process. All methods raise daemons.AlreadyRuns and NotStarted."""

    daemon: Daemon
    command: Sequence[str]
    environment: Mapping[str, str]
    say: Say

    def gunicorn(self) -> None:
        """Until every worker is ready and the service answers so."""
        log = Tail(self.daemon.log)
        with _receiver() as (receiver, address):
            told = _Told(receiver, self.say)
            process = self._wait({**self.environment, "NOTIFY_SOCKET": address}, told.is_ready)
        until = time.monotonic() + ANSWERS_WITHIN_S
        while fault := health.fault(settings_of(process.pid)):
            if time.monotonic() > until:
                raise NotStarted(f"the {self.daemon.name} runs and is not ready: {fault}; {log.end()}")
            time.sleep(LOOKS_EVERY_S)

    def uvicorn(self) -> None:
        """The same of one process, which tells nobody when it is ready: it serves nothing before."""
        self._wait(self.environment, self._answers)

    def background(self) -> None:
        """Until a job worker has taken the place of the script that starts it, and has lived a little."""
        self._wait(self.environment, self._is_job_worker)

    def _wait(self, environment: Mapping[str, str], is_ready: Callable[[], bool]) -> subprocess.Popen[bytes]:
        name, log = self.daemon.name, Tail(self.daemon.log)
        process = self.daemon.launch(self.command, environment)
        until = time.monotonic() + LIMIT_S
        while not is_ready():
            for line in log.new_lines():
                if _PROGRESS.match(line):
                    self.say(line)
            if process.poll() is not None:
                self.daemon.forget()
                raise NotStarted(f"the {name} has ended with {process.returncode}; {log.end()}")
            if time.monotonic() > until:
                raise NotStarted(f"the {name} is not ready after {LIMIT_S:.0f} s and goes on starting; {log.end()}")
            time.sleep(LOOKS_EVERY_S)
        return process

    def _answers(self) -> bool:
        pid = self.daemon.leader
        return pid is not None and "uvicorn" in _words(pid) and health.fault(settings_of(pid)) is None

    def _is_job_worker(self) -> bool:
        pid = self.daemon.leader
        if pid is None or "manage.py" not in _words(pid) or "jobs" not in _words(pid):
            return False
        time.sleep(SETTLES_S)
        return self.daemon.leader is not None


def _words(pid: int) -> tuple[str, ...]:
    try:
        return command_of(pid)
    except Gone:
        return ()


class _Told:
    """What the new process says by systemd's protocol."""

    def __init__(self, receiver: socket.socket, say: Say) -> None:
        self._receiver = receiver
        self._say = say
        self._ready = False

    def is_ready(self) -> bool:
        with suppress(BlockingIOError):
            while message := self._receiver.recv(4096).decode():
                for line in message.splitlines():
                    name, _, value = line.partition("=")
                    if name == "STATUS":
                        self._say(f"      {value}")
                    self._ready = self._ready or line == "READY=1"
        return self._ready


@contextmanager
def _receiver() -> Iterator[tuple[socket.socket, str]]:
    """A socket for such messages, and NOTIFY_SOCKET of it. It has no file that could be left behind."""
    name = f"face-service-{secrets.token_hex(16)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(f"\0{name}")
        receiver.setblocking(False)
        yield receiver, f"@{name}"


class Tail:
    """Lines that are added to a file from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begin = self._at = path.stat().st_size if path.exists() else 0

    def new_lines(self) -> list[str]:
        """Those that are complete, and were not returned yet."""
        text, newline, _ = self._read(self._at).rpartition(b"\n")
        self._at += len(text + newline)
        return text.decode(errors="replace").splitlines()

    def end(self) -> str:
        """The last ones, below a line that says so."""
        lines = self._read(self._begin).decode(errors="replace").splitlines()[-LAST_LINES:]
        return "\n".join([f"the end of {self._path}:", *(f"  {line}" for line in lines or ["(nothing)"])])

    def _read(self, begin: int) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(begin)
                return file.read()
        except FileNotFoundError:
            return b""

"""The engine as a job uses it: pictures go in, samples come back in any order."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import IO

from config.job_settings import job_settings
from config.settings import Settings
from recognition.background.engine import messages, places
from recognition.background.engine.messages import EngineLost, Picture, Ready, Seen

logger = logging.getLogger(__name__)

TRIED_EVERY_S = 0.1

_started: list[subprocess.Popen[bytes]] = []
"""Those that this process has started, until they are seen to have ended."""


class EngineFails(Exception):
    """The engine's process ends before it is ready."""


class NoEngine(Exception):
    """Every engine for jobs is in use, or is still being loaded: try again later."""


@dataclass(slots=True)
class JobEngine:
    """For one thread. `sent`: bytes of the pictures that are not answered yet, by their keys."""

    _connection: Connection
    _slot: IO[str]
    sent: dict[int, int] = field(default_factory=dict)

    def send(self, picture: Picture) -> None:
        """Raises EngineLost."""
        self.sent[picture.key] = len(picture.data)
        try:
            self._connection.send(picture)
        except OSError as error:
            raise EngineLost("the engine's process has ended") from error

    def receive(self, within_s: float) -> Seen | None:
        """The next answer; None if there is none in time. Raises EngineLost."""
        try:
            if not self._connection.poll(within_s):
                return None
            seen = self._connection.recv()
        except (EOFError, OSError) as error:
            raise EngineLost("the engine's process has ended") from error
        assert isinstance(seen, Seen)
        del self.sent[seen.key]
        return seen

    def close(self) -> None:
        """Leave it to the next job. What is not answered yet is given up."""
        self._connection.close()
        self._slot.close()


def take(settings: Settings, check: Callable[[], None], is_over: Callable[[], bool]) -> JobEngine:
    """Take an engine that no other job uses, and start its process if it does not run.

    `check` is called while that loads, and may raise. Raises NoEngine and EngineFails.
    """
    settings = places.for_jobs(settings)
    for number in range(job_settings().engines):
        slot = places.held(places.used_by(settings, number))
        if slot is not None:
            try:
                return JobEngine(_connected(settings, number, check, is_over), slot)
            except BaseException:
                slot.close()
                raise
    raise NoEngine("every engine for jobs is in use")


def _connected(settings: Settings, number: int, check: Callable[[], None], is_over: Callable[[], bool]) -> Connection:
    """A connection to the process, once its engine is loaded."""
    address = places.socket_of(settings, number)
    process: subprocess.Popen[bytes] | None = None
    while True:
        check()
        connection = messages.connect(address)
        if connection is not None and _is_ready(connection, check, is_over):
            return connection
        if is_over():
            raise NoEngine("the engine is being loaded")
        if process is not None and process.poll():
            raise EngineFails(f"the engine's process ended with {process.returncode} before it was ready")
        if connection is None and (process is None or process.poll() == 0):
            process = _start(number)
        time.sleep(TRIED_EVERY_S)


def _is_ready(connection: Connection, check: Callable[[], None], is_over: Callable[[], bool]) -> bool:
    """Wait for the engine. False when its process has ended meanwhile, as one does that was idle."""
    try:
        while not connection.poll(TRIED_EVERY_S):
            check()
            if is_over():
                raise NoEngine("the engine is being loaded")
        assert isinstance(connection.recv(), Ready)
    except (EOFError, OSError):
        connection.close()
        return False
    except BaseException:
        connection.close()
        raise
    return True


def _start(number: int) -> subprocess.Popen[bytes]:
    """For as long as the parent of this process lives, which is the worker."""
    _started[:] = [one for one in _started if one.poll() is None]
    own = {"DJANGO_SETTINGS_MODULE": "face_app.settings", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "recognition.background.engine.process", str(number), str(os.getppid())]
    # A session of its own: a terminal's Ctrl-C is for the worker, and other jobs may use the engine.
    process = subprocess.Popen(command, env=os.environ | own, stdin=subprocess.DEVNULL, start_new_session=True)
    _started.append(process)
    logger.info("started an engine for jobs: process %d", process.pid)
    return process

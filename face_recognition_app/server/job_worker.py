"""The job worker that Gunicorn's master keeps beside its web workers, in a process of its own.

It is started once a web worker is ready, so that it delays nobody, and started again when it has ended. A process that
the master starts is no worker of Gunicorn's: it is in no roster and serves no requests.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

from config.processes.locks import is_free

logger = logging.getLogger("gunicorn.error")  # The master's.

LOOKS_EVERY_S = 0.5
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0
LIVED_WELL_S = 60.0
"""How long a process must have lived for the next one to be started without a longer wait."""
STOP_S = 25.0
"""How long it may take to end: it waits for its jobs, and then queues them again."""

MANAGE = Path(__file__).resolve().parents[1] / "manage.py"


def command() -> list[str]:
    return [sys.executable, str(MANAGE), "jobs", "worker", "--parent", str(os.getpid())]


@cache
def of_this_master() -> list[JobWorker]:
    """The one that is kept, or none yet: the same list, however often Gunicorn reads its configuration."""
    return []


class JobWorker:
    """`is_wanted`: whether it may be started by now. `lock`: held by whatever job worker has the data directory; while
    somebody else does, none is started. `ended`: called with the process id of each that has ended.

    A thread looks after it. `stop` may be called by a signal handler, and again.
    """

    def __init__(
        self,
        command: Sequence[str],
        lock: Path,
        is_wanted: Callable[[], bool],
        ended: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._command = command
        self._lock = lock
        self._is_wanted = is_wanted
        self._ended = ended
        self._is_stopping = False
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._next_start = 0.0
        self._wait_s = FIRST_WAIT_S
        self._thread = threading.Thread(target=self._look_after, name="job worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Have it end. Returns at once."""
        self._is_stopping = True

    def join(self) -> None:
        """Wait until it has ended, by force after STOP_S."""
        if self._thread.is_alive():
            self._thread.join(STOP_S + 5)

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    def _look_after(self) -> None:
        while not self._is_stopping:
            try:
                self._look()
            except Exception:
                logger.exception("the job worker is not looked after; the next look tries again")
            time.sleep(LOOKS_EVERY_S)
        self._end()

    def _look(self) -> None:
        # The master, which waits for any of its children, may have been told of the end: then its status is not known.
        if self._process is not None and self._process.poll() is not None:
            lived_s = time.monotonic() - self._started_at
            self._wait_s = FIRST_WAIT_S if lived_s > LIVED_WELL_S else min(2 * self._wait_s, LONGEST_WAIT_S)
            self._next_start = time.monotonic() + self._wait_s
            logger.warning("the job worker %d has ended; the next one starts in %g s", self._process.pid, self._wait_s)
            self._ended(self._process.pid)
            self._process = None
        if self._process is not None or time.monotonic() < self._next_start:
            return
        if not self._is_wanted() or not is_free(self._lock):
            return
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(self._command)
        logger.info("the job worker %d is started", self._process.pid)

    def _end(self) -> None:
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

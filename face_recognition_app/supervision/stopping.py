"""Ends a process and all that it has started, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from config.settings import SettingsError
from server.graceful_exit import stop_timeout_s
from supervision.daemons import Daemon
from supervision.places import settings_of
from supervision.processes import Gone, session
from supervision.starting import Say

LONGEST_DRAIN_S = 300.0
"""Of what FACE_DRAIN_S may be: waited for where a running service's own cannot be read."""
TELLS_EVERY_S = 5.0
LOOKS_EVERY_S = 0.1


def stop(daemon: Daemon, left_behind: Sequence[Path], say: Say) -> bool:
    """Have it drain and end, by force if that takes longer than it may; False if it did not run.

    Files `left_behind` by a process that was killed are removed, too.
    """
    pid, ran = daemon.pid, daemon.runs
    if pid is not None and ran:
        _end(daemon, pid, say)
    daemon.forget()
    if not daemon.runs:
        for path in left_behind:
            path.unlink(missing_ok=True)
    return ran


def _end(daemon: Daemon, pid: int, say: Say) -> None:
    limit_s = stop_timeout_s(_drain_s(session(pid)))
    _signal(signal.SIGTERM, [daemon.leader] if daemon.leader else session(pid))
    began = told = time.monotonic()
    # A process is called dead when its first thread is, and keeps its files until the last one is.
    while (left := session(pid)) or daemon.runs:
        now = time.monotonic()
        if now - began > limit_s:
            if not left:
                return
            say(f"{len(left)} processes have not ended in {limit_s} s: they are killed")
            _signal(signal.SIGKILL, left)
            limit_s += limit_s
        elif now - told > TELLS_EVERY_S:
            told = now
            say(f"waiting for {len(left)} processes: open sessions have their time to end")
        time.sleep(LOOKS_EVERY_S)


def _drain_s(pids: Sequence[int]) -> float:
    for pid in pids:
        with suppress(Gone, SettingsError):
            return settings_of(pid).drain_s
    return LONGEST_DRAIN_S


def _signal(number: signal.Signals, pids: Sequence[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

"""How processes of a pool tell their parent what they do: a pipe that was made before they were forked."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

from jobs.watching.outcomes import RunEnded
from vocabulary.jobs import RunOutcome

WANTED_BYTES = 1 << 20
READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Told:
    """A process has begun something at `at`, monotonic seconds, or ended it. `ended`: the run, if it was one."""

    process: int
    begins: bool
    at: float
    ended: RunEnded | None = None


class Channel:
    """Messages are shorter than what the system writes in one piece. What finds the pipe full is lost: work goes on."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        for descriptor in (self._read, self._write):
            os.set_blocking(descriptor, False)
        with suppress(OSError):  # The user has too many pipes; a smaller one is drained in time, too.
            fcntl.fcntl(self._write, fcntl.F_SETPIPE_SZ, WANTED_BYTES)
        self._rest = b""

    def tell(self, told: Told) -> None:
        ended = None if told.ended is None else asdict(told.ended)
        line = json.dumps([told.process, told.begins, told.at, ended]) + "\n"
        with suppress(BlockingIOError):
            os.write(self._write, line.encode())

    def heard(self) -> Iterator[Told]:
        """What was told since the last call."""
        while True:
            try:
                found = os.read(self._read, READ_BYTES)
            except BlockingIOError:
                return
            *lines, self._rest = (self._rest + found).split(b"\n")
            for line in lines:
                process, begins, at, ended = json.loads(line)
                yield Told(process, begins, at, None if ended is None else _run(**ended))


def _run(type: str, priority: str, outcome: str, seconds: float | None) -> RunEnded:
    return RunEnded(type, priority, RunOutcome(outcome), seconds)

"""The workers of one Gunicorn master, in memory that the master shares with all of them.

The master makes the roster before it forks and gives each worker a slot; a worker writes its own slot only. Reading
takes no lock: every cell is one aligned number.
"""

from __future__ import annotations

import functools
import mmap
import os
from dataclasses import dataclass
from enum import IntEnum

_HEADER = 8
_WANTED, _STOPPING, _HAS_SERVED, _FAILED_STARTS, _USED, _RETIRED_AT_MS = range(6)
_SLOT = 4
_STAGE, _SOCKETS, _REQUEST = range(3)
_SLOTS = 20_000
"""Two generations of as many workers as `--workers` takes. Memory that nobody touches is not taken."""


class Stage(IntEnum):
    FREE = 0
    STARTING = 1
    READY = 2
    LEAVING = 3
    """Told to go, and serving until others have taken its place."""
    DRAINING = 4
    """Takes no new connections."""


class Request(IntEnum):
    """For a worker beside those that there are: made by a worker that leaves, granted by the master."""

    NONE = 0
    MADE = 1
    GRANTED = 2


class Roster:
    """Cells of 64 bits: a header, then a slot for each worker."""

    def __init__(self) -> None:
        file = os.memfd_create("roster")
        size = 8 * (_HEADER + _SLOTS * _SLOT)
        os.ftruncate(file, size)
        self._cells = memoryview(mmap.mmap(file, size)).cast("q")
        os.close(file)

    def enter(self) -> Slot:
        """A slot for a worker that is about to be forked. Master only."""
        number = next(number for number in range(_SLOTS) if Slot(self, number).stage is Stage.FREE)
        self._cells[_USED] = max(self._cells[_USED], number + 1)
        slot = Slot(self, number)
        slot.clear()
        slot.stage = Stage.STARTING
        return slot

    def leave(self, slot: Slot) -> None:
        """The worker has ended. Master only."""
        if slot.stage is Stage.STARTING:
            self._cells[_FAILED_STARTS] += 1
        slot.clear()

    @property
    def wanted(self) -> int:
        """Workers that the master keeps, those included that were asked for."""
        return self._cells[_WANTED]

    @wanted.setter
    def wanted(self, number: int) -> None:
        self._cells[_WANTED] = number

    @property
    def is_stopping(self) -> bool:
        """The master was told to end: nobody is replaced any more."""
        return bool(self._cells[_STOPPING])

    def stop(self) -> None:
        self._cells[_STOPPING] = 1

    @property
    def has_served(self) -> bool:
        """A worker of this master has been ready, so that what stops the next one is no reason to end the service."""
        return bool(self._cells[_HAS_SERVED])

    @property
    def failed_starts(self) -> int:
        """Workers that ended before they were ready, since the last that was."""
        return self._cells[_FAILED_STARTS]

    def a_worker_is_ready(self) -> None:
        self._cells[_HAS_SERVED] = 1
        self._cells[_FAILED_STARTS] = 0

    @property
    def retired_at_ms(self) -> int:
        """When a worker last retired, by the system's monotonic clock; 0 if none has."""
        return self._cells[_RETIRED_AT_MS]

    @retired_at_ms.setter
    def retired_at_ms(self, at_ms: int) -> None:
        self._cells[_RETIRED_AT_MS] = at_ms

    def slots(self) -> list[Slot]:
        """Of all workers that there are."""
        used = (Slot(self, number) for number in range(self._cells[_USED]))
        return [slot for slot in used if slot.stage is not Stage.FREE]

    def count(self, stage: Stage) -> int:
        return sum(slot.stage is stage for slot in self.slots())

    @property
    def is_complete(self) -> bool:
        """As many workers are ready as are wanted, not counting who was asked for to replace one that leaves."""
        granted = sum(slot.request is Request.GRANTED for slot in self.slots())
        return self.count(Stage.READY) >= self.wanted - granted

    def grant(self) -> None:
        """The master has one more worker: it is for whoever asked. Master only."""
        for slot in self.slots():
            if slot.request is Request.MADE:
                slot.request = Request.GRANTED
                return

    def forget_grants(self) -> None:
        """The master has as many workers again as its configuration says. Master only."""
        for slot in self.slots():
            if slot.request is Request.GRANTED:
                slot.request = Request.NONE


@dataclass(slots=True)
class Slot:
    roster: Roster
    number: int

    @property
    def stage(self) -> Stage:
        return Stage(self._get(_STAGE))

    @stage.setter
    def stage(self, stage: Stage) -> None:
        self._set(_STAGE, stage)

    @property
    def sockets(self) -> int:
        """Open WebSockets, and connections that may become some."""
        return self._get(_SOCKETS)

    @sockets.setter
    def sockets(self, number: int) -> None:
        self._set(_SOCKETS, number)

    @property
    def request(self) -> Request:
        return Request(self._get(_REQUEST))

    @request.setter
    def request(self, request: Request) -> None:
        self._set(_REQUEST, request)

    @property
    def fewest_elsewhere(self) -> int | None:
        """The sockets of whichever other worker that takes connections has the fewest; None when there is none."""
        others = (slot for slot in self.roster.slots() if slot.number != self.number)
        return min((slot.sockets for slot in others if slot.stage in (Stage.READY, Stage.LEAVING)), default=None)

    def clear(self) -> None:
        for cell in range(_SLOT):
            self._set(cell, 0)

    def _get(self, cell: int) -> int:
        return self.roster._cells[_HEADER + self.number * _SLOT + cell]

    def _set(self, cell: int, value: int) -> None:
        self.roster._cells[_HEADER + self.number * _SLOT + cell] = value


@functools.cache
def shared_roster() -> Roster:
    """This process's, whichever time Gunicorn reads its configuration; workers inherit it."""
    return Roster()

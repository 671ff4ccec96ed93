"""The table of one Gunicorn master's workers, in memory that all of them share.

The master makes the roster before it forks and gives each worker a slot; a worker writes its own slot only. Reading
takes no lock, since every cell is one aligned number.
"""

from __future__ import annotations

import functools
import mmap
import os
from dataclasses import dataclass
from enum import IntEnum

_HEADER = 16
_WANTED, _STOPPING, _HAS_SERVED, _FAILED_STARTS, _USED, _RECYCLED_AT_MS, _ENTERED, _ENDED = range(8)
"""`_ENDED`: the first of as many cells as there are reasons."""
_SLOT = 6
_STAGE, _SOCKETS, _PLAIN, _REQUEST, _REASON, _SERIAL = range(6)
_SLOTS = 20_000
"""More than two generations of the largest `--workers`. The system allots a page when it is first used."""


class Stage(IntEnum):
    FREE = 0
    STARTING = 1
    READY = 2
    LEAVING = 3
    """Asked to end, and serving until it is replaced."""
    DRAINING = 4
    """Accepts no new connections."""


@dataclass(frozen=True, slots=True, order=True)
class Load:
    """What a worker holds. A socket streams frames, so one of them outweighs any number of plain connections."""

    sockets: int
    """Open WebSockets, and connections that may become some."""
    plain: int = 0
    """Connections that sent plain requests, and may send more."""


NOTHING = Load(0)


class Request(IntEnum):
    """A leaving worker's request for a replacement: made by the worker, granted by the master."""

    NONE = 0
    MADE = 1
    GRANTED = 2


class EndReason(IntEnum):
    """Why a worker ended."""

    NONE = 0
    ASKED = 1
    """A reload, fewer workers, or a signal."""
    MEMORY = 2
    STUCK = 3
    """No thread was left to compute with."""
    FAILED_START = 4
    UNEXPECTED = 5
    """It died, was killed, or its event loop stood still."""
    REQUESTS = 6
    """It had served as many as one shall."""


class Roster:
    """Cells of 64 bits: a header, then a slot for each worker."""

    def __init__(self) -> None:
        file = os.memfd_create("roster")
        size = 8 * (_HEADER + _SLOTS * _SLOT)
        os.ftruncate(file, size)
        self._cells = memoryview(mmap.mmap(file, size)).cast("q")
        os.close(file)

    def enter(self) -> Slot:
        """Allot a slot to a worker that is about to be forked. Master only."""
        number = next(number for number in range(_SLOTS) if Slot(self, number).stage is Stage.FREE)
        self._cells[_USED] = max(self._cells[_USED], number + 1)
        slot = Slot(self, number)
        slot.clear()
        self._cells[_ENTERED] += 1
        slot.serial = self._cells[_ENTERED]
        slot.stage = Stage.STARTING
        return slot

    def leave(self, slot: Slot) -> None:
        """Free the slot of a worker that has ended, and count why. Master only."""
        reason = slot.reason
        if slot.stage is Stage.STARTING:
            self._cells[_FAILED_STARTS] += 1
            reason = EndReason.FAILED_START
        if not self.is_stopping:
            self._cells[_ENDED + (reason or EndReason.UNEXPECTED)] += 1
        slot.clear()

    def ended(self, reason: EndReason) -> int:
        """Workers that ended so, those of the service's own end not counted."""
        return self._cells[_ENDED + reason]

    @property
    def wanted(self) -> int:
        """Number of workers that the master keeps, requested replacements included."""
        return self._cells[_WANTED]

    @wanted.setter
    def wanted(self, number: int) -> None:
        self._cells[_WANTED] = number

    @property
    def is_stopping(self) -> bool:
        """Whether the master ends, so that no worker is replaced any more."""
        return bool(self._cells[_STOPPING])

    def stop(self) -> None:
        self._cells[_STOPPING] = 1

    @property
    def has_served(self) -> bool:
        """Whether a worker of this master has been ready: then a failed start of another does not end the service."""
        return bool(self._cells[_HAS_SERVED])

    @property
    def failed_starts(self) -> int:
        """Number of workers that ended before they were ready, since the last one became ready."""
        return self._cells[_FAILED_STARTS]

    def note_ready(self) -> None:
        """A worker has become ready."""
        self._cells[_HAS_SERVED] = 1
        self._cells[_FAILED_STARTS] = 0

    @property
    def recycled_at_ms(self) -> int:
        """Time of the last replacement for memory, by the system's monotonic clock; 0 if there was none."""
        return self._cells[_RECYCLED_AT_MS]

    @recycled_at_ms.setter
    def recycled_at_ms(self, at_ms: int) -> None:
        self._cells[_RECYCLED_AT_MS] = at_ms

    def slots(self) -> list[Slot]:
        """The slots in use."""
        used = (Slot(self, number) for number in range(self._cells[_USED]))
        return [slot for slot in used if slot.stage is not Stage.FREE]

    def count(self, stage: Stage) -> int:
        return sum(slot.stage is stage for slot in self.slots())

    @property
    def has_enough_ready(self) -> bool:
        """Whether as many workers are ready as the master wants, replacements for leaving ones not counted."""
        return self.count(Stage.READY) >= self.lasting

    @property
    def lasting(self) -> int:
        """Number of workers that the master keeps, replacements not counted; 0 before it has started."""
        return self.wanted - sum(slot.request is Request.GRANTED for slot in self.slots())

    def grant(self) -> None:
        """Grant the master's new worker to one that asked for a replacement, if any did. Master only."""
        for slot in self.slots():
            if slot.request is Request.MADE:
                slot.request = Request.GRANTED
                return

    def forget_grants(self) -> None:
        """Forget granted requests: a reload sets the number of workers without replacements. Master only."""
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
    def serial(self) -> int:
        """Number of the worker among all that the master has started, from 1."""
        return self._get(_SERIAL)

    @serial.setter
    def serial(self, number: int) -> None:
        self._set(_SERIAL, number)

    @property
    def load(self) -> Load:
        return Load(self._get(_SOCKETS), self._get(_PLAIN))

    @load.setter
    def load(self, load: Load) -> None:
        self._set(_SOCKETS, load.sockets)
        self._set(_PLAIN, load.plain)

    @property
    def request(self) -> Request:
        return Request(self._get(_REQUEST))

    @request.setter
    def request(self, request: Request) -> None:
        self._set(_REQUEST, request)

    @property
    def reason(self) -> EndReason:
        """Why the worker is about to end."""
        return EndReason(self._get(_REASON))

    @reason.setter
    def reason(self, reason: EndReason) -> None:
        self._set(_REASON, reason)

    @property
    def is_dispensable(self) -> bool:
        """Whether enough others serve without this leaving worker: ready ones, or younger ones that leave, too.

        The second bounds the workers of reloads that come faster than workers start.
        """
        younger = (slot for slot in self.roster.slots() if slot.serial > self.serial)
        leaving = sum(slot.stage is Stage.LEAVING for slot in younger)
        return self.roster.has_enough_ready or leaving >= self.roster.lasting

    @property
    def least_elsewhere(self) -> Load | None:
        """The lowest load among the other workers that accept connections; None when there are none."""
        others = (slot for slot in self.roster.slots() if slot.number != self.number)
        return min((slot.load for slot in others if slot.stage in (Stage.READY, Stage.LEAVING)), default=None)

    def clear(self) -> None:
        for cell in range(_SLOT):
            self._set(cell, 0)

    def _get(self, cell: int) -> int:
        return self.roster._cells[_HEADER + self.number * _SLOT + cell]

    def _set(self, cell: int, value: int) -> None:
        self.roster._cells[_HEADER + self.number * _SLOT + cell] = value


@functools.cache
def shared_roster() -> Roster:
    """The roster of this process: one, however often Gunicorn reads its configuration. Workers inherit it."""
    return Roster()

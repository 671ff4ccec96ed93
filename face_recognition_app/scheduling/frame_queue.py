"""The queue of a worker's compute threads: which work is next."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from scheduling.waits import WAIT_BOUNDS_MS, bin_of

STALE_S = 0.15
"""Age at which a session's newest frame will not be followed by another soon: the camera is slow, or the client waits
for the answer. Longer than the 100 ms between the frames of an ordinary camera."""
AGE_CREDIT = 0.4
"""Seconds of a frame's age that one second of waiting makes up for. 0 would serve only those whose frames arrive just
before a thread is free; docs/performance.md has the shares and the waits with and without it."""


class ServiceClass(Enum):
    """What work is for. LIVE and STILL share the threads by turns; BULK gets them when neither waits."""

    LIVE = "live"
    """A frame of a session."""
    STILL = "still"
    """A single picture that somebody waits for."""
    BULK = "bulk"
    """Work of a background job, which may be late."""


def never_stale() -> float:
    """`newest_at` of work that does not use a camera's newest frame."""
    return math.inf


@dataclass(slots=True, eq=False)
class WorkItem:
    """One call for a compute thread, and the future of its result.

    `deadline`: clock time after which it is not begun. `newest_at()`: clock time at which the frame arrived that the
    call would use if it began now. `about`: what it is and whose, for the log.
    """

    run: Callable[[], Any]
    deadline: float
    owner: Hashable = None
    service: ServiceClass = ServiceClass.LIVE
    newest_at: Callable[[], float] = never_stale
    about: str = ""
    result: Future[Any] = field(default_factory=Future)
    queued_at: float = -math.inf
    """Set by `FrameQueue.add`."""


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """`taken`: items that a thread has and has not finished. `wait_counts`: items per bin of WAIT_BOUNDS_MS, by the
    time from `add` to `take`."""

    waiting: int
    taken: int
    wait_counts: tuple[int, ...]


@dataclass(slots=True)
class OwnerQueue:
    """The items of one owner, oldest first, and the turn at which the next of them is served."""

    turn: int
    items: list[WorkItem] = field(default_factory=list)

    def in_time(self, now: float) -> list[WorkItem]:
        return [item for item in self.items if item.deadline > now]


class FairTurns:
    """Turns of the owners, one item each. Not thread-safe: `FrameQueue` holds the lock.

    An owner's next turn is one after its last, or the turn being served if that is later, so an owner that was idle
    has saved nothing up: P. Goyal, H. M. Vin, H. Cheng, "Start-time fair queueing", IEEE/ACM Transactions on
    Networking 5(5), 1997.
    """

    def __init__(self) -> None:
        self._owners: dict[Hashable, OwnerQueue] = {}
        self._turn = 0

    def __len__(self) -> int:
        return sum(len(queue.items) for queue in self._owners.values())

    def add(self, owner: Hashable, item: WorkItem) -> None:
        queue = self._owners.setdefault(owner, OwnerQueue(self._turn))
        if not queue.items:
            queue.turn = max(queue.turn, self._turn)
        queue.items.append(item)

    def take(self, now: float, choose: Callable[[list[WorkItem]], WorkItem]) -> WorkItem | None:
        """Remove and return the item that `choose` picks of the owner whose turn it is; None if nothing is in time."""
        ready = [(queue, items) for queue in self._owners.values() if (items := queue.in_time(now))]
        if not ready:
            return None
        queue, items = min(ready, key=lambda one: one[0].turn)
        item = choose(items)
        queue.items.remove(item)
        self._turn, queue.turn = queue.turn, queue.turn + 1
        self._drop_idle_owners()
        return item

    def remove(self, owner: Hashable, item: WorkItem) -> bool:
        queue = self._owners.get(owner)
        if queue is None or item not in queue.items:
            return False
        queue.items.remove(item)
        return True

    def ahead_of_next(self, owner: Hashable) -> int:
        """The number of items served before one that `owner` adds now."""
        queue = self._owners.get(owner, OwnerQueue(0))
        own = len(queue.items)
        turn = max(self._turn, queue.turn) + own
        others = (other for who, other in self._owners.items() if who != owner)
        return own + sum(min(len(other.items), max(0, turn - other.turn + 1)) for other in others)

    def clear(self) -> list[WorkItem]:
        items = [item for queue in self._owners.values() for item in queue.items]
        self._owners.clear()
        return items

    def _drop_idle_owners(self) -> None:
        """Forget owners with no items whose next turn is due; without any items, all."""
        all_idle = not any(queue.items for queue in self._owners.values())
        for owner, queue in list(self._owners.items()):
            if not queue.items and (all_idle or queue.turn <= self._turn):
                del self._owners[owner]


class FrameQueue:
    """Work for the compute threads: owners take turns, and BULK waits for all other work. Thread-safe.

    Of one owner the longest-waiting item is next. In a crowd cameras send newer frames before their session's turn
    comes, so there the item with the newest frame is next, where a longer wait makes up for an older frame
    (AGE_CREDIT): answers tell what the camera sees now. Sessions whose frame is older than STALE_S send no newer one
    and do not wait for it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._prompt = FairTurns()
        self._bulk = FairTurns()
        self._taken = 0
        self._wait_counts = [0] * len(WAIT_BOUNDS_MS)

    @property
    def load(self) -> int:
        """Items that wait or are computed."""
        with self._lock:
            return len(self._prompt) + len(self._bulk) + self._taken

    def add(self, item: WorkItem) -> None:
        with self._lock:
            item.queued_at = self._clock()
            self._turns_of(item.service).add(_owner(item.service, item.owner), item)

    def take(self, *, crowded: bool) -> WorkItem | None:
        """Remove and return the next item, after which `done` must be called; None when no item is in time."""
        with self._lock:
            now = self._clock()

            def choose(items: list[WorkItem]) -> WorkItem:
                return min(items, key=lambda item: _lateness(item, now)) if crowded else items[0]

            item = self._prompt.take(now, choose) or self._bulk.take(now, choose)
            if item is not None:
                self._taken += 1
                self._wait_counts[bin_of(now - item.queued_at)] += 1
            return item

    def done(self) -> None:
        """Count an item that was taken as finished."""
        with self._lock:
            self._taken -= 1

    def remove(self, item: WorkItem) -> bool:
        """Remove an item, which is then never taken. Returns whether it still waited."""
        with self._lock:
            return self._turns_of(item.service).remove(_owner(item.service, item.owner), item)

    def ahead_of_next(self, owner: Hashable, service: ServiceClass) -> int:
        """The number of waiting items served before one that is added now."""
        with self._lock:
            ahead = self._turns_of(service).ahead_of_next(_owner(service, owner))
            return ahead + (len(self._prompt) if service is ServiceClass.BULK else 0)

    def clear(self) -> list[WorkItem]:
        """Remove and return all waiting items."""
        with self._lock:
            return self._prompt.clear() + self._bulk.clear()

    def statistics(self) -> QueueStatistics:
        with self._lock:
            return QueueStatistics(len(self._prompt) + len(self._bulk), self._taken, tuple(self._wait_counts))

    def _turns_of(self, service: ServiceClass) -> FairTurns:
        return self._bulk if service is ServiceClass.BULK else self._prompt


def _owner(service: ServiceClass, owner: Hashable) -> Hashable:
    """Key of an owner in the turns: pictures of a tenant and its frames take turns like two tenants."""
    return service, owner


def _lateness(item: WorkItem, now: float) -> float:
    """Seconds by which an item should stand back behind others of its owner; the lowest is served."""
    age = max(0.0, now - item.newest_at())
    return -math.inf if age >= STALE_S else age - AGE_CREDIT * (now - item.queued_at)

"""The right to use one of a bounded number of things, granted in turn to everybody who waits for it."""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

logger = logging.getLogger(__name__)

WAIT_BOUNDS_MS = (0.1, *(round(0.5 * 1.35**step, 2) for step in range(31)))
"""Upper edges of the wait-time histogram; the last one (about 4 s) also takes longer waits."""


@dataclass(frozen=True, slots=True)
class PermitStatistics:
    size: int
    in_use: int
    waiting: int
    exhausted_total: int
    timeouts_total: int
    wait_counts: tuple[int, ...]
    """Grants per bin of WAIT_BOUNDS_MS."""


def _nothing() -> None:
    pass


class Permit:
    """One place in the queue: waiting, granted, or ended. Made by `PermitQueue.request()`."""

    __slots__ = ("_ended", "_granted", "_on_grant", "_owner", "_queue", "_requested_at")

    def __init__(self, queue: PermitQueue, on_grant: Callable[[], None], owner: Hashable) -> None:
        self._queue = queue
        self._owner = owner
        self._on_grant = on_grant
        self._requested_at = time.monotonic()
        self._granted = False
        self._ended = False

    @property
    def granted(self) -> bool:
        return self._granted

    def release(self, *, timed_out: bool = False) -> None:
        """Give the place back, or stop waiting for it. Idempotent."""
        self._queue._release(self, timed_out)


class PermitQueue:
    """`size` permits and a queue of those who wait for one: owners take turns, and each owner's come in their order.

    So the many requests of one owner cannot starve another's few. It blocks nobody: a request that cannot be granted at
    once is granted later by a call of its `on_grant` on the thread that released, so threads and event loops can both
    wait here. `on_change` is called after every change, on the thread that made it; what it raises is logged.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        self._size = size
        self._lock = threading.Lock()
        self._waiting: OrderedDict[Hashable, deque[Permit]] = OrderedDict()
        self._in_use = 0
        self._exhausted_total = 0
        self._timeouts_total = 0
        self._wait_counts = [0] * len(WAIT_BOUNDS_MS)
        self.on_change: Callable[[], None] = _nothing

    def request(self, on_grant: Callable[[], None], owner: Hashable = None) -> Permit:
        """A permit that is granted already, or will be: then `on_grant` is called, exactly once."""
        permit = Permit(self, on_grant, owner)
        with self._lock:
            if self._in_use < self._size:
                self._grant(permit)
            else:
                self._exhausted_total += 1
                self._waiting.setdefault(owner, deque()).append(permit)
        self.notify()
        return permit

    def acquire(self, timeout: float) -> Permit | None:
        """Block the calling thread up to `timeout` seconds; None when no permit came free."""
        ready = threading.Event()
        permit = self.request(ready.set)
        try:
            if not permit.granted:
                ready.wait(timeout)
        except BaseException:
            permit.release()
            raise
        if not permit.granted:
            permit.release(timed_out=True)
            return None
        return permit

    def statistics(self) -> PermitStatistics:
        with self._lock:
            return PermitStatistics(
                size=self._size,
                in_use=self._in_use,
                waiting=sum(map(len, self._waiting.values())),
                exhausted_total=self._exhausted_total,
                timeouts_total=self._timeouts_total,
                wait_counts=tuple(self._wait_counts),
            )

    def notify(self) -> None:
        """Tell the observer; one that fails must not cost a permit."""
        try:
            self.on_change()
        except Exception:
            logger.exception("the observer of a permit queue failed")

    def _grant(self, permit: Permit) -> None:
        self._in_use += 1
        permit._granted = True
        waited_ms = (time.monotonic() - permit._requested_at) * 1000
        self._wait_counts[min(bisect_left(WAIT_BOUNDS_MS, waited_ms), len(WAIT_BOUNDS_MS) - 1)] += 1

    def ahead_of_next(self, owner: Hashable = None) -> int:
        """How many of those who wait get theirs before one for which `owner` asks now."""
        with self._lock:
            own = len(self._waiting.get(owner, ()))
            return own + sum(min(len(queue), own + 1) for who, queue in self._waiting.items() if who != owner)

    def count_timeout(self) -> None:
        """Somebody was sent away who did not wait here; where all are in use, for want of one."""
        with self._lock:
            self._exhausted_total += self._in_use >= self._size
            self._timeouts_total += 1
        self.notify()

    def _next(self) -> Permit | None:
        if not self._waiting:
            return None
        owner, queue = self._waiting.popitem(last=False)
        permit = queue.popleft()
        if queue:
            self._waiting[owner] = queue  # Behind the others: it is their turn now.
        self._grant(permit)
        return permit

    def _forget(self, permit: Permit) -> None:
        queue = self._waiting[permit._owner]
        queue.remove(permit)
        if not queue:
            del self._waiting[permit._owner]

    def _release(self, permit: Permit, timed_out: bool) -> None:
        successor: Permit | None = None
        with self._lock:
            if permit._ended:
                return
            permit._ended = True
            self._timeouts_total += timed_out
            if permit._granted:
                self._in_use -= 1
                successor = self._next()
            else:
                self._forget(permit)
        self.notify()
        if successor is not None:
            successor._on_grant()


def wait_percentile_ms(wait_counts: tuple[int, ...], fraction: float) -> float:
    """The wait below which `fraction` of the grants stayed: the upper edge of that bin, 0 if none."""
    total = sum(wait_counts)
    seen = 0
    for upper_edge, count in zip(WAIT_BOUNDS_MS, wait_counts, strict=True):
        seen += count
        if count and seen >= fraction * total:
            return upper_edge if upper_edge > WAIT_BOUNDS_MS[0] else 0.0
    return 0.0

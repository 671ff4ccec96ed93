"""A bounded pool of instances that are costly to make, each lent to one borrower at a time."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from core.errors import PoolClosed, PoolTimeout

logger = logging.getLogger(__name__)


class Closable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """`pool_size`: instances alive. `in_use`: slots lent, including those whose instance is being made. `waiting`:
    threads waiting for a slot. `exhausted_total`: borrows that found none free; `timeouts_total`: those that timed out.
    `recycled_total`: instances replaced.
    """

    pool_size: int
    max_size: int
    in_use: int
    waiting: int
    exhausted_total: int
    timeouts_total: int
    recycled_total: int

    @property
    def available(self) -> int:
        return max(0, self.pool_size - self.in_use)


@dataclass(slots=True)
class _Slot(Generic[T]):
    """Holder of one instance; empty until its replacement is made."""

    instance: T | None = None
    uses: int = 0


class Pool(Generic[T]):
    """Lends instances made by `factory`, of which never more than `size` exist.

    An instance that raised while it was lent, or that was lent `max_uses` times, is closed and
    replaced, outside every lock. When its replacement cannot be made, the slot stays empty and
    the next borrower tries again.
    """

    def __init__(self, factory: Callable[[], T], size: int, *, max_uses: int | None = None) -> None:
        if size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        self._factory = factory
        self._size = size
        self._max_uses = max_uses
        self._changed = threading.Condition()
        self._idle: list[_Slot[T]] = [_Slot() for _ in range(size)]
        self._alive = 0
        self._lent = 0
        self._waiting = 0
        self._exhausted_total = 0
        self._timeouts_total = 0
        self._recycled_total = 0
        self._closed = False

    def fill(self) -> None:
        """Make every missing instance now, in parallel, before lending begins. Raises what the factory raised."""
        with ThreadPoolExecutor(self._size, thread_name_prefix="pool-fill") as executor:
            list(executor.map(self._make, [slot for slot in self._idle if slot.instance is None]))

    @contextmanager
    def borrow(self, timeout: float) -> Iterator[T]:
        """Lend an instance until the block ends, however it ends.

        Blocks up to `timeout` seconds while all are lent. Raises PoolTimeout, PoolClosed, or what the factory raised.
        """
        slot = self._take(timeout)
        healthy = False
        try:
            yield self._make(slot)
            healthy = True
        finally:
            self._give_back(slot, healthy)

    def statistics(self) -> PoolStatistics:
        with self._changed:
            return PoolStatistics(
                pool_size=self._alive,
                max_size=self._size,
                in_use=self._lent,
                waiting=self._waiting,
                exhausted_total=self._exhausted_total,
                timeouts_total=self._timeouts_total,
                recycled_total=self._recycled_total,
            )

    def close(self, timeout: float = 10.0) -> bool:
        """Lend nothing more, wait for what is lent, close every instance. Idempotent.

        False when instances were still lent after `timeout` seconds; each of those is closed
        when it comes back.
        """
        with self._changed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._changed.notify_all()
        for slot in idle:
            self._dispose(slot)
        with self._changed:
            return self._changed.wait_for(lambda: self._alive == 0 and self._lent == 0, timeout)

    def __del__(self) -> None:
        if getattr(self, "_alive", 0) and not self._closed:
            warnings.warn(f"pool of {self._alive} was never closed", ResourceWarning, stacklevel=2)

    def _take(self, timeout: float) -> _Slot[T]:
        with self._changed:
            if not (self._idle or self._closed):
                self._wait(timeout)
            if self._closed:
                raise PoolClosed("the pool is closed")
            if not self._idle:
                self._timeouts_total += 1
                raise PoolTimeout(f"no instance became free within {timeout:g} s")
            self._lent += 1
            return self._idle.pop()

    def _wait(self, timeout: float) -> None:
        self._exhausted_total += 1
        self._waiting += 1
        try:
            self._changed.wait_for(lambda: self._idle or self._closed, timeout)
        finally:
            self._waiting -= 1

    def _make(self, slot: _Slot[T]) -> T:
        if slot.instance is None:
            slot.instance = self._factory()
            slot.uses = 0
            with self._changed:
                self._alive += 1
        return slot.instance

    def _give_back(self, slot: _Slot[T], healthy: bool) -> None:
        slot.uses += 1
        worn = self._max_uses is not None and slot.uses >= self._max_uses
        try:
            if slot.instance is not None and (worn or not healthy):
                self._recycle(slot)
        finally:
            self._put_back(slot)

    def _put_back(self, slot: _Slot[T]) -> None:
        with self._changed:
            self._lent -= 1
            self._changed.notify_all()
            if not self._closed:
                # A slot with an instance is lent before an empty one.
                self._idle.insert(0 if slot.instance is None else len(self._idle), slot)
                return
        self._dispose(slot)

    def _recycle(self, slot: _Slot[T]) -> None:
        self._dispose(slot)
        with self._changed:
            self._recycled_total += 1
            if self._closed:
                return
        try:
            self._make(slot)
        except Exception:
            logger.exception("an instance could not be replaced; the next borrower tries again")

    def _dispose(self, slot: _Slot[T]) -> None:
        instance, slot.instance = slot.instance, None
        if instance is None:
            return
        try:
            instance.close()
        except Exception:
            logger.exception("an instance raised while it was closed")
        finally:
            with self._changed:
                self._alive -= 1
                self._changed.notify_all()

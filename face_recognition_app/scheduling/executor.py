"""The compute threads of a worker, and calls to them from the event loop: waits hold no thread and have a time-out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Hashable
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

from scheduling.frame_queue import FrameQueue, ServiceClass, WorkItem, never_stale
from scheduling.frame_slot import FrameSlot, TakenFrame
from scheduling.pacing import Pacer
from scheduling.threads import StartedThreads
from wire.errors import Busy, WireError
from wire.inbound import BadFrame, Frame

logger = logging.getLogger(__name__)
T = TypeVar("T")

BUSY_LOG_INTERVAL_S = 30.0
MIN_BUSY_RETRY_MS = 100
MAX_BUSY_RETRY_MS = 5_000
CAMERA_INTERVAL_S = 0.1
"""Interval between the frames of an ordinary camera."""


class FrameFailed(Exception):
    """The frame numbered `seq` has no result; `error` is its answer and leaves the session alone."""

    def __init__(self, seq: int, error: WireError) -> None:
        super().__init__(seq, error)
        self.seq = seq
        self.error = error


@dataclass(frozen=True, slots=True)
class ExecutorStatistics:
    """Counts of work items. `computing`: on a thread now. `in_use`: on a thread or waiting, up to the number of
    instances; `waiting`: the rest. `exhausted_total`: added while every instance was in use. `timeouts_total`: refused
    as busy. `wait_counts`: see QueueStatistics."""

    threads: int
    computing: int
    in_use: int
    waiting: int
    exhausted_total: int
    timeouts_total: int
    wait_counts: tuple[int, ...]


def _do_nothing() -> None:
    pass


class Executor:
    """Computes work in `threads` threads, in the order of a FrameQueue. Refuses work that would not begin in time.

    `instances`: size of the pool that the work borrows from; at least `threads`, so that a thread never waits for an
    instance. `on_change` is called after every change of the statistics, on the thread that made it; its exceptions
    are logged.
    """

    def __init__(
        self, threads: int, instances: int, timeout_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not 1 <= threads <= instances:
            raise ValueError(f"threads must be 1 to the number of instances, {instances}, not {threads}")
        self.threads = StartedThreads(threads, "frame")
        self.pacer = Pacer(threads, clock)
        self.on_change: Callable[[], None] = _do_nothing
        self._clock = clock
        self._queue = FrameQueue(clock)
        self._instances = instances
        self._timeout_s = timeout_s
        self._exhausted_total = 0
        self._timeouts_total = 0
        self._logged_at = float("-inf")

    async def run(
        self,
        work: Callable[[], T],
        *,
        owner: Hashable = None,
        service: ServiceClass = ServiceClass.LIVE,
        newest_at: Callable[[], float] = never_stale,
        about: str = "",
    ) -> T:
        """The result of `work`, called on a compute thread in the caller's context. See WorkItem for the arguments.

        Raises Busy before the work has begun: after the time-out, or at once when the expected wait is longer. Work
        that has begun runs to its end also when the caller is cancelled.
        """
        deadline = self._clock() + self._timeout_s
        self._exhausted_total += self._queue.load >= self._instances
        expected_s = self.pacer.wait_s(self._ahead_of_next(owner, service))
        if expected_s > self._timeout_s:
            raise self._busy(expected_s)
        item = WorkItem(partial(copy_context().run, work), deadline, owner, service, newest_at, about)
        self._queue.add(item)
        self._notify()
        try:
            self.threads.submit(self._compute_next)
            return cast(T, await self._result(item))
        finally:
            if self._queue.remove(item):  # The executor is closed, or the caller was cancelled.
                self._notify()

    async def run_frame(
        self, slot: FrameSlot, work: Callable[[Frame | BadFrame], T], *, owner: Hashable = None, about: str = ""
    ) -> tuple[TakenFrame, T]:
        """The frame that is the slot's newest when a thread is free, and what `work` returns for it.

        Raises FrameFailed for an error that answers the frame, and one that ends the session as it is.
        """
        taken: TakenFrame | None = None

        def take_and_work() -> T:
            nonlocal taken
            taken = slot.take()
            return work(taken.frame)

        try:
            result = await self.run(take_and_work, owner=owner, newest_at=slot.newest_at, about=about)
        except Exception as error:
            if isinstance(error, WireError) and error.close_code is None:
                raise FrameFailed((taken or slot.take()).frame.seq, error) from error
            raise
        assert taken is not None
        return taken, result

    def statistics(self) -> ExecutorStatistics:
        queue = self._queue.statistics()
        load = queue.taken + queue.waiting
        return ExecutorStatistics(
            threads=self.threads.size,
            computing=queue.taken,
            in_use=min(load, self._instances),
            waiting=max(0, load - self._instances),
            exhausted_total=self._exhausted_total,
            timeouts_total=self._timeouts_total,
            wait_counts=queue.wait_counts,
        )

    def close(self) -> None:
        """Take nothing more, finish what has begun, and cancel what waits. Blocks."""
        self.threads.shutdown(wait=True, cancel_futures=True)
        for item in self._queue.clear():
            item.result.cancel()

    async def _result(self, item: WorkItem) -> object:
        timer = asyncio.get_running_loop().call_later(self._timeout_s, self._expire, item)
        try:
            return await asyncio.wrap_future(item.result)
        finally:
            timer.cancel()

    def _expire(self, item: WorkItem) -> None:
        if self._queue.remove(item) and item.result.set_running_or_notify_cancel():
            item.result.set_exception(self._busy(self._timeout_s))

    def _compute_next(self) -> None:
        item = self._queue.take(crowded=self._is_crowded())
        if item is None:
            return
        self._notify()
        began = self._clock()
        if not item.result.set_running_or_notify_cancel():
            self._done()
            return
        self.threads.tell(item.about)
        try:
            result = item.run()
        except BaseException as error:
            self.pacer.served(self._clock() - began)
            self._done()
            item.result.set_exception(error)
        else:
            self.pacer.served(self._clock() - began)
            self._done()
            item.result.set_result(result)

    def _done(self) -> None:
        """Count the item as finished, before its result is set: its caller then sees statistics without it."""
        self._queue.done()
        self._notify()

    def _is_crowded(self) -> bool:
        """Whether the expected wait exceeds one camera interval."""
        return self.pacer.wait_s(self._queue.load) > CAMERA_INTERVAL_S

    def _ahead_of_next(self, owner: Hashable, service: ServiceClass) -> int:
        """The number of items, with those on the threads, that are served before one that is added now."""
        if self._queue.load < self.threads.size:
            return 0
        return self.threads.size + self._queue.ahead_of_next(owner, service)

    def _busy(self, expected_s: float) -> Busy:
        self._timeouts_total += 1
        self._notify()
        now = self._clock()
        if now - self._logged_at > BUSY_LOG_INTERVAL_S:
            self._logged_at = now
            logger.warning(
                "frames wait too long: %d are computed at once, %d in all; more workers help while cores are idle",
                self.threads.size,
                self._queue.load,
            )
        return Busy(
            "too many frames wait before this one",
            retry_after_ms=min(MAX_BUSY_RETRY_MS, max(MIN_BUSY_RETRY_MS, int(1000 * expected_s))),
        )

    def _notify(self) -> None:
        """Call the observer. One that fails must not cost a frame."""
        try:
            self.on_change()
        except Exception:
            logger.exception("the observer of the executor failed")

"""The way from the event loop to a worker thread: a wait holds no thread, and ends in time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Hashable
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from core.permits import Permit, PermitQueue
from ops import request_id
from ops.threads import StartedThreads
from recognition.pacing import Pacer
from recognition.ready_work import Piece, ReadyWork, does_not_age
from wire.errors import Busy

logger = logging.getLogger(__name__)
T = TypeVar("T")

WARN_EVERY_S = 30.0
MIN_RETRY_MS = 100
MAX_RETRY_MS = 5_000
INTERVAL_S = 0.1
"""Between the frames of a camera, more or less."""


class Admission:
    """Lets as many pieces of work in as the pool has instances; the others wait or are told busy.

    Of those let in, `threads` are computed at a time: more than there are cores would only make each take longer. The
    work of one owner waits no longer because another brings much.
    """

    def __init__(self, permits: PermitQueue, timeout_s: float, threads: int | None = None) -> None:
        size = permits.statistics().size
        self._permits = permits
        self._timeout_s = timeout_s
        self._at_once = threads or size
        self.threads = StartedThreads(self._at_once, "frame")
        self._ready = ReadyWork()
        self.pacer = Pacer(self._at_once)
        self._warned_at = float("-inf")

    async def run(
        self,
        work: Callable[[Permit], T],
        owner: Hashable = None,
        newest_at: Callable[[], float] = does_not_age,
        about: str = "",
    ) -> T:
        """Run `work` in a thread, with a granted permit that is given back when it ends.

        With `newest_at`, when what the work would look at came in (monotonic seconds), it may wait for something newer
        to come while others have that. `about` names it in the log should it get stuck. Raises Busy, before the work
        has begun: when it did not begin in time, and at once when it will not. A cancelled caller leaves work that has
        begun to its end, and the permit with it.
        """
        deadline, asked_at = asyncio.get_running_loop().time() + self._timeout_s, time.monotonic()
        permit = await self._let_in(owner)
        about = f"{about} (request {request_id.current.get()})"
        piece = Piece(owner, partial(copy_context().run, self._timed, work, permit), newest_at, asked_at, about)
        # It must not know the piece, which would keep what it was about, pictures, until the garbage collector runs.
        piece.result.add_done_callback(lambda _: permit.release())
        self._ready.add(piece)
        try:
            self.threads.submit(self._run_one)
        except BaseException:
            self._ready.cancel()  # It was closed: there is no thread for anybody's work any more.
            raise
        result: T = await self._result(piece, deadline)
        return result

    async def _result(self, piece: Piece, deadline: float) -> Any:
        """Raises Busy at the deadline, in seconds of the loop, if the work has not begun."""
        timer = asyncio.get_running_loop().call_at(deadline, self._expire, piece)
        try:
            return await asyncio.wrap_future(piece.result)
        except asyncio.CancelledError:
            if piece.expired and not _is_cancelled(asyncio.current_task()):
                raise self._busy(self._timeout_s) from None
            self._ready.give_up(piece)
            raise
        finally:
            timer.cancel()

    def _expire(self, piece: Piece) -> None:
        piece.expired = self._ready.give_up(piece)
        if piece.expired:
            self._permits.count_timeout()

    def close(self) -> None:
        self.threads.shutdown(wait=True, cancel_futures=True)
        self._ready.cancel()

    def _run_one(self) -> None:
        piece = self._ready.take(crowded=self._is_crowded())
        if piece is None or not piece.result.set_running_or_notify_cancel():
            return
        self.threads.tell(piece.about)
        try:
            result = piece.run()
        except BaseException as error:
            piece.result.set_exception(error)
        else:
            piece.result.set_result(result)

    def _is_crowded(self) -> bool:
        """Whether who comes now waits for longer than a camera does for its next frame."""
        statistics = self._permits.statistics()
        return self.pacer.wait_s(statistics.in_use + statistics.waiting) > INTERVAL_S

    async def _let_in(self, owner: Hashable) -> Permit:
        """Raises Busy."""
        expected_s = self.pacer.wait_s(self._ahead_of_next(owner))
        if expected_s > self._timeout_s:
            self._permits.count_timeout()
            raise self._busy(expected_s)
        permit = await _granted(self._permits, owner, self._timeout_s)
        if permit is None:
            raise self._busy(expected_s)
        return permit

    def _ahead_of_next(self, owner: Hashable) -> int:
        """How many pieces of work, with those in hand, come before one that `owner` brings now."""
        if self._permits.statistics().in_use < self._at_once:
            return 0
        return self._at_once + self._ready.ahead_of_next(owner) + self._permits.ahead_of_next(owner)

    def _timed(self, work: Callable[[Permit], T], permit: Permit) -> T:
        began = time.monotonic()
        try:
            return work(permit)
        finally:
            self.pacer.served(time.monotonic() - began)

    def _busy(self, expected_s: float) -> Busy:
        statistics = self._permits.statistics()
        now = time.monotonic()
        if now - self._warned_at > WARN_EVERY_S:
            self._warned_at = now
            logger.warning(
                "frames wait too long: %d of %d instances in use, %d waiting, %d computed at once; more workers help "
                "while cores are idle",
                statistics.in_use,
                statistics.size,
                statistics.waiting,
                self._at_once,
            )
        return Busy(
            "too many frames wait before this one",
            retry_after_ms=min(MAX_RETRY_MS, max(MIN_RETRY_MS, int(1000 * expected_s))),
        )


def _is_cancelled(task: asyncio.Task[Any] | None) -> bool:
    return task is not None and task.cancelling() > 0


async def _granted(queue: PermitQueue, owner: Hashable, timeout_s: float) -> Permit | None:
    """A permit, or None when there was none in time."""
    loop = asyncio.get_running_loop()
    granted = asyncio.Event()

    def on_grant() -> None:
        loop.call_soon_threadsafe(granted.set)

    permit = queue.request(on_grant, owner)
    if permit.granted:
        return permit
    try:
        async with asyncio.timeout(timeout_s):
            await granted.wait()
    except TimeoutError:
        if not permit.granted:
            permit.release(timed_out=True)
            return None
    except BaseException:
        permit.release()
        raise
    return permit

"""The way from the event loop to a worker thread: a wait holds no thread, and ends in time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from core.permits import Permit, PermitQueue
from wire.errors import Busy

logger = logging.getLogger(__name__)
T = TypeVar("T")

WARN_EVERY_S = 30.0
MIN_RETRY_MS = 100
MAX_RETRY_MS = 5_000


class Admission:
    """Lets as many pieces of work into threads as the pool has instances; the others wait or are told busy."""

    def __init__(self, permits: PermitQueue, timeout_s: float) -> None:
        size = permits.statistics().size
        self._permits = permits
        self._timeout_s = timeout_s
        self._size = size
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="frame")
        self._service_s = 0.05
        self._warned_at = float("-inf")

    async def run(self, work: Callable[[Permit], T]) -> T:
        """Run `work` in a thread, with a granted permit that is given back when it ends.

        Raises Busy when none came free in time. A cancelled caller leaves work that has begun to
        its end, and the permit with it.
        """
        permit = await self._granted()
        try:
            future = self._threads.submit(copy_context().run, self._timed, work, permit)
        except BaseException:
            permit.release()
            raise
        future.add_done_callback(lambda _: permit.release())
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def _granted(self) -> Permit:
        loop = asyncio.get_running_loop()
        granted = asyncio.Event()

        def on_grant() -> None:
            loop.call_soon_threadsafe(granted.set)

        permit = self._permits.request(on_grant)
        if permit.granted:
            return permit
        try:
            async with asyncio.timeout(self._timeout_s):
                await granted.wait()
        except TimeoutError:
            if not permit.granted:
                permit.release(timed_out=True)
                raise self._busy() from None
        except BaseException:
            permit.release()
            raise
        return permit

    def _timed(self, work: Callable[[Permit], T], permit: Permit) -> T:
        began = time.monotonic()
        try:
            return work(permit)
        finally:
            self._service_s += 0.1 * (time.monotonic() - began - self._service_s)

    def _busy(self) -> Busy:
        waiting = self._permits.statistics().waiting
        now = time.monotonic()
        if now - self._warned_at > WARN_EVERY_S:
            self._warned_at = now
            logger.warning(
                "pool exhausted: %d instances in use, %d waiting; more workers or instances help while cores are idle",
                self._size,
                waiting,
            )
        expected_ms = int(1000 * self._service_s * (waiting + 1) / self._size)
        return Busy("every instance is in use", retry_after_ms=min(MAX_RETRY_MS, max(MIN_RETRY_MS, expected_ms)))

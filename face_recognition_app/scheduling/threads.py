"""A thread pool that has all its threads from the start and tells what each of them has in hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Work:
    """What one thread has in hand. `began`: monotonic seconds; `ended`: likewise, None until it is done; `about`: what
    it is and whose, for the log."""

    thread: str
    thread_id: int
    began: float
    about: str = ""
    ended: float | None = None

    def age_s(self, now: float) -> float:
        return (now if self.ended is None else self.ended) - self.began


class StartedThreads(ThreadPoolExecutor):
    """A ThreadPoolExecutor whose number of threads never grows: the standard one starts them as work comes."""

    def __init__(self, threads: int, name: str) -> None:
        super().__init__(threads, thread_name_prefix=name)
        self.size = threads
        self._in_hand: dict[int, Work] = {}
        together = threading.Barrier(threads + 1)
        try:
            for _ in range(threads):
                super().submit(together.wait)  # Not through `_do`, which would count it as work.
            together.wait()
        except BaseException:
            together.abort()  # Else the threads already started would wait for ever, and the process for them.
            self.shutdown(wait=False)
            raise

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return super().submit(self._do, function, *args, **kwargs)

    def in_hand(self) -> list[Work]:
        """The work of every thread that has some."""
        return list(self._in_hand.values())

    def tell(self, about: str) -> None:
        """Set what the calling thread, one of these, has in hand."""
        self._in_hand[threading.get_ident()].about = about

    def _do(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        thread_id = threading.get_ident()
        work = Work(threading.current_thread().name, thread_id, time.monotonic())
        self._in_hand[thread_id] = work
        try:
            return function(*args, **kwargs)
        finally:
            work.ended = time.monotonic()
            del self._in_hand[thread_id]

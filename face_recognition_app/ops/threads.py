"""Thread pools that have all their threads from the start, so that a number that grows later means something."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor


class StartedThreads(ThreadPoolExecutor):
    """The standard pool adds a thread whenever all others are busy, up to its size."""

    def __init__(self, threads: int, name: str) -> None:
        super().__init__(threads, thread_name_prefix=name)
        together = threading.Barrier(threads + 1)
        try:
            for _ in range(threads):
                self.submit(together.wait)
            together.wait()
        except BaseException:
            together.abort()  # Those that were started would wait for ever, and the process for them.
            self.shutdown(wait=False)
            raise

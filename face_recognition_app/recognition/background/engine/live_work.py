"""Whether web workers of this machine compute, so that the engine for jobs makes way for them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from monitoring.pool_load import sum_loads
from monitoring.worker_stats import read_live_workers

logger = logging.getLogger(__name__)

LOOKS_EVERY_S = 0.2
LASTS_S = 1.0
"""How long somebody counts as before the camera after a picture was computed: slow clients send two a second."""


class LiveWork:
    """Thread-safe."""

    def __init__(self, run_dir: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._run_dir = run_dir
        self._clock = clock
        self._lock = threading.Lock()
        self._computed = self._computed_now()
        self._looks_at = clock() + LOOKS_EVERY_S
        self._goes_on_until = 0.0

    def goes_on(self) -> bool:
        """Return true when a web worker has computed a picture within LASTS_S, or the workers' files are unreadable."""
        with self._lock:
            now = self._clock()
            if now >= self._looks_at:
                self._looks_at = now + LOOKS_EVERY_S
                computed = self._computed_now()
                if computed is None or computed != self._computed:
                    self._computed, self._goes_on_until = computed, now + LASTS_S
            return now < self._goes_on_until

    def _computed_now(self) -> int | None:
        """Pictures that the workers have begun with; falls when a worker ends. None if it cannot be read."""
        try:
            return sum(sum_loads(worker.load for worker in read_live_workers(self._run_dir)).wait_counts)
        except OSError as error:
            logger.debug("what web workers do cannot be read: %s", error)
            return None

"""Metrics that somebody else must be asked for, who may not answer."""

from __future__ import annotations

import logging
import threading
import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)

KEPT_S = 5.0
"""How long an answer is kept: scrapes by several servers cost no more."""
SHARE_OF_TIME = 0.02
"""Of a web worker that asking may take: with a million jobs that wait it is done less often."""
PATIENCE_S = 2.0
"""How long a scrape waits for the answer. Then it goes without these metrics."""


class BackgroundCollector(Collector):
    """The metrics of `ask`; none when it fails or does not answer in time. For several threads.

    It is called on a thread of its own, so that a server that hangs holds no other.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.Lock()
        self._answered = threading.Event()
        self._metrics: list[Metric] = []
        self._asked_again_at: float | None = 0.0
        """None while somebody is being asked."""

    @abstractmethod
    def ask(self) -> Iterable[Metric]:
        """May raise anything."""

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            if self._asked_again_at is not None and time.monotonic() >= self._asked_again_at:
                self._asked_again_at = None
                self._answered.clear()
                threading.Thread(target=self._ask, name=f"metrics of {self._what}", daemon=True).start()
        return iter(self._metrics if self._answered.wait(PATIENCE_S) else [])

    def _ask(self) -> None:
        began = time.monotonic()
        found: list[Metric] = []
        try:
            found = list(self.ask())
        except Exception as error:
            logger.warning("the metrics have no %s: %s", self._what, error)
        ended = time.monotonic()
        with self._lock:
            self._metrics = found
            self._asked_again_at = ended + max(KEPT_S, (ended - began) / SHARE_OF_TIME)
        self._answered.set()

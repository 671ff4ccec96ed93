"""What the parent of a Celery pool knows of it, told by its processes and by Celery."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import redis

from config.job_settings import JobSettings
from jobs.broker import state
from jobs.scaling import celery_group
from jobs.watching.channel import Channel, Told
from jobs.watching.endpoint import Endpoint
from jobs.watching.outcomes import RunEnded
from jobs.watching.watch import Watch

HEARD_EVERY_S = 0.25


class PoolWatch:
    """`heard` is for the parent's loop, `running` for the processes of the pool."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings
        self._channel = Channel()
        self._began: dict[int, float] = {}
        self._endpoint: Endpoint | None = None
        self.watch = Watch(settings, self._depths)

    @contextmanager
    def running(self) -> Iterator[list[RunEnded]]:
        """The block is a run; it leaves what has become of it in the list."""
        ended: list[RunEnded] = []
        self._channel.tell(Told(os.getpid(), True, time.monotonic()))
        try:
            yield ended
        finally:
            self._channel.tell(Told(os.getpid(), False, time.monotonic(), ended[0] if ended else None))

    def hear(self, pool: Any) -> None:
        for told in self._channel.heard():
            if told.begins:
                self._began[told.process] = told.at
            else:
                self._began.pop(told.process, None)
            if told.ended is not None:
                self.watch.tally.count(told.ended)
        alive = {process.pid for process in pool._pool._pool}
        self._began = {process: at for process, at in self._began.items() if process in alive}
        self.watch.look(pool.num_processes, list(self._began.values()))

    def load(self) -> dict[str, Any]:
        depths = self._depths()
        waiting = None if depths is None else sum(depths.values())
        return celery_group.answer_of(self.watch.tally.group, self.watch.tally.figures(time.monotonic()), waiting)

    def open(self) -> None:
        if self._settings.metrics_address is not None and self._endpoint is None:
            self._endpoint = Endpoint(self._settings.metrics_address, self._problem)

    def forget(self) -> None:
        """In a process of the pool: what belongs to the parent."""
        if self._endpoint is not None:
            self._endpoint.forget()

    def _depths(self) -> Mapping[str, int] | None:
        try:
            return state.depths(self._settings.types, self._settings.priorities)
        except redis.RedisError:
            return None

    def _problem(self) -> str:
        """A loop that waits for Redis is not stuck: another worker would wait as well."""
        if not self.watch.is_stalled():
            return ""
        return "" if self._depths() is None else "stalled"

"""Short jobs, one after the other in one process: Celery takes longer to hand over a job than some take."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import redis

from config.job_settings import JobSettings
from jobs.broker import state
from jobs.broker.messages import job_in
from jobs.broker.queues import KEY_PREFIX, queues_of
from jobs.workers.execution import execute

logger = logging.getLogger(__name__)

BURST_S = 0.05
"""A process that has taken so long in all goes back to Celery: its time limit is for what it was given."""


def go_on(settings: JobSettings, began: float, unreadable: Callable[[bytes], None]) -> None:
    """Take what waits, by the same priorities as Celery does, while the burst lasts.

    An id that a process had taken when it died is sent again by the scheduler.
    """
    keys = [KEY_PREFIX + name for name in queues_of(settings.types, settings.priorities)]
    while time.monotonic() - began < BURST_S:
        try:
            raw = state.take(keys)
        except redis.RedisError:
            return
        if raw is None:
            return
        job_pk = job_in(raw)
        if job_pk is None:
            unreadable(raw)
        else:
            execute(job_pk)

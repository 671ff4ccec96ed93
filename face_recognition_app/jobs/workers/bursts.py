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
from vocabulary.jobs import Priority

logger = logging.getLogger(__name__)

BURST_S = 0.05
"""A process that has taken so long in all goes back to Celery: its time limit is for what it was given."""


def go_on(
    settings: JobSettings,
    least: Priority,
    began: float,
    run: Callable[[int], object],
    unreadable: Callable[[bytes], None],
) -> None:
    """Take what waits, by the same priorities as Celery does, while the burst lasts.

    `least`: of the job that Celery gave; it may have taken another one as urgent beforehand, which is not overtaken.
    An id that a process had taken when it died is sent again by the scheduler.
    """
    urgent = list(Priority)[: list(Priority).index(least) + 1]
    keys = [KEY_PREFIX + name for name in queues_of(settings.types, set(settings.priorities) & set(urgent))]
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
            run(job_pk)

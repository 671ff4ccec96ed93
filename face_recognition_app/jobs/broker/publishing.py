"""Sending the ids of queued jobs to the broker. Without a broker there is nothing to send: the worker looks itself.

A broker that cannot be reached loses nothing: the scheduler sends what was not sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

from config.job_settings import job_settings
from database import clock
from jobs.broker.queues import queue_of
from jobs.models import Job
from logs.advice import warn_once
from vocabulary.jobs import JobStatus

logger = logging.getLogger(__name__)


class Waiting(Protocol):
    """What is known of a job to be sent: its row, or a part of it."""

    pk: int
    type: str
    priority: str
    status: str


def publish(jobs: Iterable[Waiting]) -> int:
    """Send the queued ones among the jobs. Returns how many were sent."""
    queued = [job for job in jobs if job.status == JobStatus.QUEUED]
    if not queued or not job_settings().redis_url:
        return 0
    sent = _send(queued)
    for first in range(0, len(sent), 500):
        part = Job.across_tenants.filter(pk__in=sent[first : first + 500], status=JobStatus.QUEUED)
        part.update(published_at=clock.now())
    return len(sent)


def _send(jobs: list[Waiting]) -> list[int]:
    from kombu.exceptions import OperationalError

    from jobs.broker.application import application
    from jobs.broker.messages import RUN_TASK

    app, sent = application(), []
    try:
        with app.producer_pool.acquire(block=True, timeout=1) as producer:
            for job in jobs:
                queue = queue_of(job.type, job.priority)
                app.send_task(RUN_TASK, [job.pk], queue=queue, producer=producer, retry=False, ignore_result=True)
                sent.append(job.pk)
    except (OperationalError, OSError) as error:
        warn_once(logger, "Redis cannot be reached: jobs wait for the scheduler to send them", exc_info=error)
    return sent

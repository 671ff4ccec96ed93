"""Sending the ids of queued jobs to the broker. Without a broker there is nothing to send: the worker looks itself.

A broker that cannot be reached loses nothing: the scheduler sends what was not sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

import redis

from config.job_settings import job_settings
from database import clock
from jobs.broker import state
from jobs.broker.messages import message_for
from jobs.broker.queues import KEY_PREFIX, queue_of
from jobs.models import Job
from logs.advice import warn_once
from vocabulary.jobs import JobStatus

logger = logging.getLogger(__name__)

AT_A_TIME = 500


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
    for first in range(0, len(sent), AT_A_TIME):
        part = Job.across_tenants.filter(pk__in=sent[first : first + AT_A_TIME], status=JobStatus.QUEUED)
        part.update(published_at=clock.now())
    return len(sent)


def _send(jobs: list[Waiting]) -> list[int]:
    sent: list[int] = []
    try:
        for first in range(0, len(jobs), AT_A_TIME):
            part = jobs[first : first + AT_A_TIME]
            with state.connection().asked() as client, client.pipeline(transaction=False) as pipeline:
                for job in part:
                    queue = queue_of(job.type, job.priority)
                    pipeline.lpush(KEY_PREFIX + queue, message_for(job.pk, queue))
                pipeline.execute()
            sent += [job.pk for job in part]
    except redis.RedisError:
        warn_once(logger, "Redis cannot be reached: jobs wait for the scheduler to send them")
    return sent

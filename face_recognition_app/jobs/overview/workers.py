"""Which workers are alive, what they take and what they run: by Celery's remote control, or by what leases tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis

from config.job_settings import JobSettings
from database import clock
from jobs.models import Job
from jobs.overview.standing import leader
from vocabulary.jobs import JobStatus

ANSWER_S = 1.0
"""How long answers of workers are waited for."""


class BrokerAway(Exception):
    """Redis cannot be reached, and so no worker can be asked."""


@dataclass(frozen=True, slots=True)
class Running:
    """A job that a worker has now. `tenant`: name; empty for the operator's. `for_s`: since its first run began."""

    id: str
    type: str
    tenant: str
    for_s: float


@dataclass(frozen=True, slots=True)
class WorkerState:
    """`slots`: jobs that it runs at once; None: not known. `queues`: those it takes from; empty: from the database."""

    name: str
    group: str
    slots: int | None
    running: tuple[Running, ...]
    queues: tuple[str, ...] = ()


def workers(settings: JobSettings) -> list[WorkerState]:
    """Raises BrokerAway."""
    return _embedded(settings) if settings.is_embedded else _pooled()


def _embedded(settings: JobSettings) -> list[WorkerState]:
    """The one worker, which holds the scheduler's seat or has jobs. While it is idle and has no scheduler, it tells
    nothing of itself."""
    now = clock.now()
    living = Job.across_tenants.filter(status=JobStatus.RUNNING, lease_until__gte=now).select_related("tenant")
    found = list(living.order_by("pk"))
    name = leader(now) or next((job.worker for job in found), "")
    running = tuple(_running(job, now) for job in found)
    return [WorkerState(name, settings.group, settings.slots, running)] if name else []


def _pooled() -> list[WorkerState]:
    from kombu.exceptions import OperationalError

    from jobs.broker.application import application

    control = application().control
    try:
        stats: Mapping[str, Any] = control.inspect(timeout=ANSWER_S).stats() or {}
        if not stats:
            return []
        asking = control.inspect(timeout=ANSWER_S, limit=len(stats))
        active: Mapping[str, Any] = asking.active() or {}
        queues: Mapping[str, Any] = asking.active_queues() or {}
    except (OperationalError, OSError, redis.RedisError) as error:
        raise BrokerAway(str(error)) from error
    now, jobs = clock.now(), _jobs_of(active)
    return [
        WorkerState(
            name=name,
            group=group_of(name),
            slots=slots_in(told),
            running=tuple(_of_task(task, jobs, now) for task in active.get(name, ())),
            queues=tuple(queue["name"] for queue in queues.get(name, ())),
        )
        for name, told in sorted(stats.items())
    ]


def group_of(name: str) -> str:
    """The group in a worker's name, `GROUP-PID@HOST`."""
    return name.partition("@")[0].rpartition("-")[0]


def slots_in(stats: Mapping[str, Any]) -> int:
    """Number of processes of a worker's pool."""
    pool = stats.get("pool", {})
    return len(pool.get("processes", ())) or int(pool.get("max-concurrency", 0))


def _jobs_of(active: Mapping[str, Any]) -> dict[int, Job]:
    pks = [pk for tasks in active.values() for task in tasks for pk in _pks(task)]
    rows: Iterable[Job] = Job.across_tenants.filter(pk__in=pks).select_related("tenant")
    return {job.pk: job for job in rows}


def _of_task(task: Mapping[str, Any], jobs: Mapping[int, Job], now: datetime) -> Running:
    found = [jobs[pk] for pk in _pks(task) if pk in jobs]
    return _running(found[0], now) if found else Running("", str(task.get("name")), "", 0.0)


def _pks(task: Mapping[str, Any]) -> list[int]:
    return [one for one in task.get("args") or () if type(one) is int]


def _running(job: Job, now: datetime) -> Running:
    for_s = 0.0 if job.started_at is None else (now - job.started_at).total_seconds()
    return Running(str(job.public_id), job.type, job.tenant.name if job.tenant else "", for_s)

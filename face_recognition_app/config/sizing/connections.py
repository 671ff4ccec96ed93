"""Connections to PostgreSQL and Redis: how many each process holds at most, and what the servers must allow."""

from __future__ import annotations

import math
from dataclasses import dataclass

WEB_DATABASE_CONNECTIONS = 10
"""Of a web worker: one for each thread that makes queries, with those of metrics and of a search's index."""
WEB_REDIS_CONNECTIONS = 10
"""Of a web worker: its cache, and what publishes jobs."""
SLOT_DATABASE_CONNECTIONS = 2
"""Of each process in which a job runs: the job's own, and that of its lease."""
JOB_MASTER_DATABASE_CONNECTIONS = 4
"""Of the process that gives out jobs: its own, the scheduler's and those of its endpoint."""
SLOT_REDIS_CONNECTIONS = 2
JOB_MASTER_REDIS_CONNECTIONS = 6
"""Its consumer, events, control, heartbeat and scheduler."""
ADMINISTRATION = 20
"""For commands, backups and people: the addition of the original guide."""
ROUNDED_TO = 100


@dataclass(frozen=True, slots=True)
class Connections:
    """Connections of all processes of one machine at most."""

    web: int
    jobs: int

    @property
    def total(self) -> int:
        return self.web + self.jobs

    @property
    def during_reload(self) -> int:
        """The old web workers serve until the new ones are ready, so both have theirs."""
        return 2 * self.web + self.jobs


def database_connections(workers: int, job_slots: int, per_worker: int = WEB_DATABASE_CONNECTIONS) -> Connections:
    return Connections(
        web=workers * per_worker,
        jobs=SLOT_DATABASE_CONNECTIONS * job_slots + JOB_MASTER_DATABASE_CONNECTIONS if job_slots else 0,
    )


def redis_connections(workers: int, job_slots: int, per_worker: int = WEB_REDIS_CONNECTIONS) -> Connections:
    return Connections(
        web=workers * per_worker,
        jobs=SLOT_REDIS_CONNECTIONS * job_slots + JOB_MASTER_REDIS_CONNECTIONS if job_slots else 0,
    )


def max_connections(connections: int) -> int:
    """PostgreSQL's `max_connections` for so many, with those of administration: the next hundred."""
    return ROUNDED_TO * math.ceil((connections + ADMINISTRATION) / ROUNDED_TO)

"""Leases of running jobs: who has a job says so every few seconds, and whoever falls silent loses it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection

from database import clock
from database.calls import with_connection
from jobs.models import Job
from vocabulary.jobs import JobStatus

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=15)
RENEWED_EVERY_S = 4.0


@dataclass(slots=True)
class Lease:
    """What the last renewal has found."""

    lost: bool = False
    cancelling: bool = False


def renew(job_pk: int, number: int, lease: Lease) -> None:
    """Say that the run goes on, and see whether it is to stop."""
    mine = Job.across_tenants.filter(pk=job_pk, runs=number, status=JobStatus.RUNNING)
    lease.lost = not mine.update(lease_until=clock.now() + LEASE)
    lease.cancelling = mine.filter(cancelling=True).exists()


def keep_progress(job_pk: int, number: int, done: int, total: int | None, checkpoint: Any) -> bool:
    """Returns False when the run has lost its lease."""
    mine = Job.across_tenants.filter(pk=job_pk, runs=number, status=JobStatus.RUNNING)
    return bool(mine.update(done=done, total=total, checkpoint=checkpoint, lease_until=clock.now() + LEASE))


@contextmanager
def renewed(job_pk: int, number: int) -> Iterator[Lease]:
    """Renew the lease on a thread until the block ends. Short jobs end before its first turn."""
    lease, over = Lease(), threading.Event()

    def again_and_again() -> None:
        while not over.wait(RENEWED_EVERY_S):
            try:
                with_connection(renew, job_pk, number, lease)
            except Exception:
                logger.warning("the lease of job %d is not renewed; the next turn tries again", job_pk, exc_info=True)
        connection.close()

    thread = threading.Thread(target=again_and_again, name="job lease", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        over.set()
        thread.join()

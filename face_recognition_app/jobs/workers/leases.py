"""Leases of running jobs: who has a job says so every few seconds, and whoever falls silent loses it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

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


class _Keeper:
    """Renews the lease of the job that this process has now, on a thread that lives as long as the process."""

    def __init__(self) -> None:
        self._changed = threading.Lock()
        self._current: tuple[int, int, Lease] | None = None
        self._thread: threading.Thread | None = None

    @contextmanager
    def keeping(self, job_pk: int, number: int) -> Iterator[Lease]:
        lease = Lease()
        with self._changed:
            self._current = job_pk, number, lease
            if self._thread is None or not self._thread.is_alive():  # It does not live on in a fork.
                self._thread = threading.Thread(target=self._renew_again_and_again, name="job lease", daemon=True)
                self._thread.start()
        try:
            yield lease
        finally:
            with self._changed:
                self._current = None

    def _renew_again_and_again(self) -> None:
        while True:
            time.sleep(RENEWED_EVERY_S)
            current = self._current
            if current is None:
                continue
            try:
                with_connection(renew, *current)
            except Exception:
                logger.warning("a lease is not renewed; the next turn tries again", exc_info=True)


_keeper = _Keeper()


def renewed(job_pk: int, number: int) -> AbstractContextManager[Lease]:
    """A block in which the lease of a run is renewed. Short jobs end before the first turn."""
    return _keeper.keeping(job_pk, number)

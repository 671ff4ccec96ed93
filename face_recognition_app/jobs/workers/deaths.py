"""Runs whose process has ended without a word, as far as this host can see."""

from __future__ import annotations

import logging
import os

from django.db.models import QuerySet

from jobs import transitions
from jobs.models import Job
from vocabulary.jobs import JobStatus

logger = logging.getLogger(__name__)

TIMED_OUT = "the run took longer than JOB_TIMEOUT allows"
WORKER_DIED = "the worker died"


def note_death(job_pk: int, host: str, retries: int) -> None:
    """Note the failure of a run whose process on this host is gone."""
    for found in _running_on(host).filter(pk=job_pk):
        if not _is_alive(found.worker):
            _lose(found, WORKER_DIED, retries)


def note_time_out(job_pk: int, host: str, retries: int) -> None:
    """Note the failure of a run whose process on this host is about to be ended."""
    for found in _running_on(host).filter(pk=job_pk):
        _lose(found, TIMED_OUT, retries)


def _lose(found: Job, reason: str, retries: int) -> None:
    logger.warning("a run of job %d (%s) has failed: %s", found.pk, found.type, reason)
    transitions.lose(found.pk, found.runs, reason, retries)


def give_back_of_dead(host: str) -> int:
    """Queue the jobs of processes of this host that have ended with their worker, as if they had not been begun."""
    dead = [found for found in _running_on(host) if not _is_alive(found.worker)]
    return sum(transitions.give_back(found.pk, found.runs) for found in dead)


def _running_on(host: str) -> QuerySet[Job]:
    return Job.across_tenants.filter(status=JobStatus.RUNNING, worker__startswith=f"{host}:")


def _is_alive(worker: str) -> bool:
    try:
        os.kill(int(worker.rpartition(":")[2]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True

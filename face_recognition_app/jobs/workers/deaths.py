"""Runs whose process has ended without a word, as far as this host can see."""

from __future__ import annotations

import logging
import os

from django.db.models import QuerySet

from jobs import transitions
from jobs.models import Job
from jobs.watching.outcomes import RunEnded, outcome_of_failure
from vocabulary.jobs import JobStatus

logger = logging.getLogger(__name__)

TIMED_OUT = "the run took longer than JOB_TIMEOUT allows"
WORKER_DIED = "the worker died"


def note_death(job_pk: int, host: str, retries: int) -> RunEnded | None:
    """Note the failure of a run whose process on this host is gone. None when there is none."""
    found = _running_on(host).filter(pk=job_pk).first()
    return None if found is None or is_alive(_process_of(found)) else _lose(found, WORKER_DIED, retries, None)


def note_time_out(job_pk: int, host: str, retries: int) -> RunEnded | None:
    """Note the failure of a run whose process on this host is about to be ended. None when there is none."""
    found = _running_on(host).filter(pk=job_pk).first()
    return None if found is None else _lose(found, TIMED_OUT, retries, None)


def lose(job_pk: int, reason: str, retries: int, seconds: float) -> RunEnded | None:
    """Note the failure of the job's run, which has ended after so many seconds. None when none goes on."""
    found = Job.across_tenants.filter(pk=job_pk, status=JobStatus.RUNNING).first()
    return None if found is None else _lose(found, reason, retries, seconds)


def give_back(job_pk: int) -> None:
    """Queue the job again, as if its run had not begun."""
    for number in Job.across_tenants.filter(pk=job_pk, status=JobStatus.RUNNING).values_list("runs", flat=True):
        transitions.give_back(job_pk, number)


def give_back_of_dead(host: str) -> int:
    """Queue the jobs of processes of this host that have ended with their worker, as if they had not been begun."""
    dead = [found for found in _running_on(host) if not is_alive(_process_of(found))]
    return sum(transitions.give_back(found.pk, found.runs) for found in dead)


def _lose(found: Job, reason: str, retries: int, seconds: float | None) -> RunEnded:
    logger.warning("a run of job %d (%s) has failed: %s", found.pk, found.type, reason)
    status = transitions.lose(found.pk, found.runs, reason, retries)
    return RunEnded(found.type, found.priority, outcome_of_failure(status), seconds)


def _running_on(host: str) -> QuerySet[Job]:
    return Job.across_tenants.filter(status=JobStatus.RUNNING, worker__startswith=f"{host}:")


def _process_of(run: Job) -> int:
    return int(run.worker.rpartition(":")[2])


def is_alive(process: int) -> bool:
    """Whether this host has the process, also as one that has ended and that nobody has waited for."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True

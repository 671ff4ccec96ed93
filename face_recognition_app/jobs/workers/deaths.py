"""Runs whose process has ended without a word, as far as this host can see."""

from __future__ import annotations

import os

from django.db.models import QuerySet

from jobs import transitions
from jobs.models import Job
from vocabulary.jobs import JobStatus


def lose_if_dead(job_pk: int, host: str, reason: str, retries: int) -> None:
    """Note the failure of a run whose process on this host is gone."""
    for found in _running_on(host).filter(pk=job_pk):
        if not _is_alive(found.worker):
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

"""Doing one job: from its claim to what became of it."""

from __future__ import annotations

import logging
import os
import socket
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from django.db import connection

from audit import actor as actors
from config.job_settings import job_settings
from database.calls import with_connection
from jobs import transitions
from jobs.broker import publishing
from jobs.kinds import Kind, kind_of
from jobs.models import Job
from jobs.run import Again, Cancelled, LeaseLost, Refused, Run
from jobs.transitions import Claimed
from jobs.watching.outcomes import RunEnded, outcome_of_failure
from jobs.workers import leases
from logs import context, request_id
from tenants.models import Tenant
from vocabulary.audit import actor_kind_of
from vocabulary.jobs import JobStatus, JobType, RunOutcome
from wire.errors import Unavailable

logger = logging.getLogger(__name__)


def this_worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def execute(job_pk: int) -> RunEnded | None:
    """Run the job; None if it is not queued. Raises Unavailable when the database cannot be used: deliver it again."""
    return with_connection(_execute, job_pk)


def _execute(job_pk: int) -> RunEnded | None:
    claimed = transitions.claim(job_pk, this_worker())
    if claimed is None:
        logger.debug("job %d is not queued: it was delivered before, or cancelled", job_pk)
        return None
    began = time.monotonic()
    with ExitStack() as stack:
        lease = stack.enter_context(leases.renewed(job_pk, claimed.number))
        stack.enter_context(actors.acting(_actor_of(claimed)))
        stack.enter_context(_logged(claimed))
        outcome = _work(claimed, lease)
    return RunEnded(claimed.type, claimed.priority, outcome, time.monotonic() - began)


@contextmanager
def _logged(claimed: Claimed) -> Iterator[None]:
    """Have log lines name the job."""
    request = request_id.current.set(claimed.request_id)
    job = context.job.set(context.JobContext(claimed.public_id, claimed.type))
    tenant = context.tenant.set(claimed.tenant_pk)
    try:
        yield
    finally:
        request_id.current.reset(request)
        context.job.reset(job)
        context.tenant.reset(tenant)


def _work(claimed: Claimed, lease: leases.Lease) -> RunOutcome:
    kind = kind_of(JobType(claimed.type))
    try:
        run = _run_of(claimed, lease)
        outcome = kind.work(run, kind.payload.model_validate(claimed.payload))
        if isinstance(outcome, Again):
            transitions.again(claimed, outcome.after_s)
            publishing.publish(Job.across_tenants.filter(pk=claimed.pk))
            return RunOutcome.CONTINUED
        if transitions.succeed(claimed, outcome):
            return RunOutcome.SUCCEEDED
        logger.warning("job %d was ended elsewhere: its worker was thought dead", claimed.pk)
    except Cancelled:
        transitions.stop(claimed)
        return RunOutcome.CANCELLED
    except LeaseLost as error:
        logger.warning("%s", error)
    except Refused as error:
        transitions.refuse(claimed, str(error))
        return RunOutcome.FAILED
    except Unavailable:
        raise  # The lease ends, and the scheduler queues the job again.
    except Exception as error:
        return outcome_of_failure(_fail(claimed, kind, error))
    return RunOutcome.DROPPED


def _fail(claimed: Claimed, kind: Kind, error: Exception) -> JobStatus | None:
    reason = f"{type(error).__name__}: {error}"
    trace = "".join(traceback.format_exception(error))
    status = transitions.fail(claimed, reason, trace, job_settings().max_retries)
    if status is JobStatus.DEAD:
        logger.error("job %d (%s) is dead after %d tries: %s", claimed.pk, kind.type, claimed.failures + 1, reason)
    else:
        logger.warning("job %d (%s) failed, and is tried again: %s", claimed.pk, kind.type, reason)
    return status


def _run_of(claimed: Claimed, lease: leases.Lease) -> Run:
    tenant = None if claimed.tenant_pk is None else Tenant.objects.get(pk=claimed.tenant_pk)
    return Run(claimed.pk, claimed.number, tenant, claimed.checkpoint, claimed.done, claimed.total, lease)


def _actor_of(claimed: Claimed) -> actors.Actor:
    return actors.Actor(actor_kind_of(claimed.actor["kind"]), claimed.actor["reference"], claimed.actor["name"])


def let_go() -> None:
    """Close this thread's connection to the database, before the process forks or waits."""
    connection.close()

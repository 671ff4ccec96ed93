"""What happens by time: jobs that are due, periodic ones, jobs of dead workers, ids that did not reach the broker.

Any number of schedulers may run. One leads; should two ever do, each statement still lets one of them make the change.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from datetime import timedelta

from django.db.models import Q

from config.job_settings import JobSettings
from database import clock
from database.calls import with_connection
from jobs import transitions
from jobs.broker import publishing, state
from jobs.models import Job, SchedulerSeat
from jobs.timing import schedules
from jobs.workers.deaths import WORKER_DIED
from jobs.workers.execution import this_worker
from vocabulary.jobs import JobStatus
from wire.errors import Unavailable

logger = logging.getLogger(__name__)

SEAT = timedelta(seconds=4)
AT_A_TIME = 500
UNSENT_AFTER = timedelta(seconds=2)
MISSED_AFTER = timedelta(seconds=20)
MISSED_LOOKED_FOR_EVERY_S = 5.0


class Scheduler:
    """Not thread-safe. `turn` is to be called every interval."""

    def __init__(self, settings: JobSettings) -> None:
        self._settings = settings
        self._name = this_worker()
        self._looked_for_missed = 0.0
        self.leads = False

    def turn(self) -> None:
        """Do what is due, if this scheduler leads. What fails is logged: the next turn tries again."""
        try:
            self._turn()
        except Unavailable as error:
            logger.warning("the scheduler waits for its database: %s", error)
        except Exception:
            logger.exception("a turn of the scheduler failed; the next one tries again")

    def _turn(self) -> None:
        leads = with_connection(take_seat, self._name)
        if leads != self.leads:
            logger.info("this scheduler %s", "leads" if leads else "stands by")
        self.leads = leads
        if leads:
            with_connection(self._act)

    def leave(self) -> None:
        """Give the seat up, so that another scheduler leads at once."""
        if self.leads:
            with_connection(leave_seat, self._name)
            self.leads = False

    def _act(self) -> None:
        schedules.make_jobs_that_are_due()
        queue_due()
        end_lost(self._settings.max_retries)
        if self._settings.is_embedded:
            return
        publish_unsent()
        if time.monotonic() - self._looked_for_missed > MISSED_LOOKED_FOR_EVERY_S:
            self._looked_for_missed = time.monotonic()
            publish_missed()


def serve(settings: JobSettings, is_over: Callable[[], bool]) -> None:
    """Take turns until it is over."""
    scheduler = Scheduler(settings)
    next_turn = time.monotonic()
    while not is_over():
        scheduler.turn()
        next_turn = max(next_turn + settings.scheduler_interval_s, time.monotonic())
        while not is_over() and (left := next_turn - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))
    scheduler.leave()


def ends_with_parent(parent: int | None) -> Callable[[], bool]:
    """Whether the process that started this one has ended."""
    return lambda: parent is not None and os.getppid() != parent


def take_seat(name: str) -> bool:
    """Become or stay the scheduler that leads, unless another one does."""
    now = clock.now()
    SchedulerSeat.objects.get_or_create(pk=1)
    free = SchedulerSeat.objects.filter(Q(holder=name) | Q(held_until=None) | Q(held_until__lt=now), pk=1)
    return bool(free.update(holder=name, held_until=now + SEAT))


def leave_seat(name: str) -> None:
    SchedulerSeat.objects.filter(pk=1, holder=name).update(held_until=None)


def queue_due() -> int:
    """Queue and send the jobs whose time has come. Returns how many."""
    due = Job.across_tenants.filter(status=JobStatus.SCHEDULED, run_at__lte=clock.now()).order_by("run_at")
    pks = list(due.values_list("pk", flat=True)[:AT_A_TIME])
    made = transitions.make_due(pks) if pks else 0
    publishing.publish(Job.across_tenants.filter(pk__in=pks))
    return made


def end_lost(retries: int) -> int:
    """End runs whose worker has fallen silent. Returns how many."""
    lost = Job.across_tenants.filter(status=JobStatus.RUNNING, lease_until__lt=clock.now())
    found = list(lost.values_list("pk", "runs")[:AT_A_TIME])
    for pk, number in found:
        logger.warning("job %d has lost its worker", pk)
        transitions.lose(pk, number, WORKER_DIED, retries, silent_only=True)
    return len(found)


def publish_unsent() -> int:
    """Send ids of jobs that could not be sent when they were accepted."""
    old = clock.now() - UNSENT_AFTER
    unsent = Job.across_tenants.filter(status=JobStatus.QUEUED, published_at=None, created_at__lt=old).order_by("pk")
    return publishing.publish(unsent[:AT_A_TIME])


def publish_missed() -> int:
    """Send again what was sent, waits in the database, and is in no queue: the broker has lost it, or the worker that
    had taken it."""
    old = clock.now() - MISSED_AFTER
    waiting = Job.across_tenants.filter(status=JobStatus.QUEUED, published_at__lt=old)
    kinds = list(waiting.order_by().values_list("type", "priority").distinct())
    return sum(
        publishing.publish(waiting.filter(type=type_, priority=priority).order_by("pk")[:AT_A_TIME])
        for type_, priority in kinds
        if state.is_empty(type_, priority)
    )

"""The job worker without a broker: it takes jobs from the database, and gives each to one of a few processes.

The processes are started anew rather than forked, so that no connection and no lock of this one gets into them.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection as pipes
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from config.job_settings import JobSettings
from config.processes.locks import Taken, alone, job_worker_lock
from config.service import service_settings
from database.calls import with_connection
from jobs.models import Job
from jobs.timing.scheduler import Scheduler
from jobs.watching.database_facts import queued_by_priority
from jobs.watching.endpoint import endpoint_of
from jobs.watching.outcomes import RunEnded
from jobs.watching.watch import Watch
from jobs.workers import deaths
from jobs.workers.embedded_process import do_jobs
from vocabulary.jobs import JobStatus, Priority
from wire.errors import Unavailable

logger = logging.getLogger(__name__)

LOOKS_EVERY_S = 0.2
START_S = 60.0
BROKEN_WAIT_S = 5.0
"""Between processes that end before they are ready."""


class AlreadyRuns(Exception):
    """Another worker has the data directory."""


@dataclass(slots=True)
class Slot:
    """One process. `job`: what it has now; None while it is idle. `began`: when it got that, or was started."""

    process: SpawnProcess
    pipe: Connection
    job: int | None = None
    ready: bool = False
    began: float = field(default_factory=time.monotonic)

    def ended(self) -> bool:
        return self.process.exitcode is not None


def serve(settings: JobSettings, is_over: Callable[[], bool]) -> None:
    """Work until it is over, alone in the data directory. Raises AlreadyRuns."""
    watch = Watch(settings, _depths)
    with (
        _alone(service_settings().data_dir),
        endpoint_of(settings, lambda: "stalled" if watch.is_stalled() else ""),
    ):
        EmbeddedWorker(settings, watch).serve(is_over)
        watch.say()


class EmbeddedWorker:
    """Not thread-safe: one loop does everything but the jobs."""

    def __init__(self, settings: JobSettings, watch: Watch) -> None:
        self._settings = settings
        self._scheduler = Scheduler(settings) if settings.has_scheduler else None
        self._slots: list[Slot] = []
        self._next_turn = 0.0
        self._start_after = 0.0
        self._watch = watch

    def serve(self, is_over: Callable[[], bool]) -> None:
        """Work until it is over; runs that have not ended some seconds after that are queued again."""
        while not is_over():
            try:
                self._schedule()
                self._hand_out()
            except Unavailable as error:
                logger.warning("the worker waits for its database: %s", error)
            self._wait(LOOKS_EVERY_S)
            self._end_overdue()
            self._watch.look(self._settings.slots, [slot.began for slot in self._slots if slot.job is not None])
        self._stop()

    def _schedule(self) -> None:
        if self._scheduler is not None and time.monotonic() >= self._next_turn:
            self._next_turn = time.monotonic() + self._settings.scheduler_interval_s
            self._scheduler.turn()

    def _hand_out(self) -> None:
        """Give waiting jobs to idle processes, and start one more where all are busy and more may be."""
        idle = [slot for slot in self._slots if slot.ready and slot.job is None]
        starting = [slot for slot in self._slots if not slot.ready]
        wanted = self._settings.slots - sum(slot.job is not None for slot in self._slots)
        if not wanted:
            return
        waiting = list(with_connection(lambda: list(self._waiting(wanted))))
        for slot, job_pk in zip(idle, waiting, strict=False):
            slot.job, slot.began = job_pk, time.monotonic()
            with suppress(OSError):  # The process has just died, which is noted where it is waited for.
                slot.pipe.send(job_pk)
        if time.monotonic() < self._start_after:
            return
        more = len(waiting) - len(idle) - len(starting)
        for _ in range(min(more, self._settings.slots - len(self._slots))):
            self._slots.append(_started())

    def _waiting(self, limit: int) -> Iterator[int]:
        """Jobs in the order in which they are to be begun."""
        taken = [slot.job for slot in self._slots if slot.job is not None]
        for priority in Priority:
            queued = Job.across_tenants.filter(status=JobStatus.QUEUED, priority=priority).exclude(pk__in=taken)
            found = list(queued.order_by("pk").values_list("pk", flat=True)[:limit])
            yield from found
            limit -= len(found)

    def _wait(self, at_most_s: float) -> None:
        """Until a process has said something or ended."""
        if not self._slots:
            time.sleep(at_most_s)
            return
        pipes.wait([one for slot in self._slots for one in (slot.pipe, slot.process.sentinel)], at_most_s)
        for slot in self._slots:
            self._hear(slot)
        for slot in [slot for slot in self._slots if slot.ended()]:
            self._forget(slot, deaths.WORKER_DIED)

    def _hear(self, slot: Slot) -> None:
        try:
            while slot.pipe.poll():
                found = slot.pipe.recv()
                slot.ready, slot.job = True, None
                if isinstance(found, RunEnded):
                    self._watch.tally.count(found)
        except (EOFError, OSError):
            slot.process.join(1)

    def _end_overdue(self) -> None:
        """End processes by force that are over their time."""
        for slot in list(self._slots):
            limit = self._settings.job_timeout_s if slot.ready else START_S
            if (slot.job is not None or not slot.ready) and time.monotonic() - slot.began > limit:
                slot.process.kill()
                slot.process.join()
                self._forget(slot, deaths.TIMED_OUT)

    def _forget(self, slot: Slot, reason: str) -> None:
        self._slots.remove(slot)
        slot.pipe.close()
        if not slot.ready:
            logger.error("a process for jobs ended with %s before it was ready", slot.process.exitcode)
            self._start_after = time.monotonic() + BROKEN_WAIT_S
        if slot.job is None:
            return
        try:
            took = time.monotonic() - slot.began
            ended = with_connection(deaths.lose, slot.job, reason, self._settings.max_retries, took)
        except Unavailable:
            logger.warning("the end of job %d cannot be noted now; its lease ends by itself", slot.job)
        else:
            if ended is not None:
                self._watch.tally.count(ended)

    def _stop(self) -> None:
        deadline = time.monotonic() + self._settings.stop_after_s
        while any(slot.job is not None for slot in self._slots) and time.monotonic() < deadline:
            self._wait(LOOKS_EVERY_S)
        for slot in self._slots:
            slot.process.kill()
            slot.process.join()
            if slot.job is not None:
                with_connection(deaths.give_back, slot.job)
        if self._scheduler is not None:
            self._scheduler.leave()


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Two workers of one data directory would be twice the processes for the same jobs. Raises AlreadyRuns."""
    try:
        with alone(job_worker_lock(data_dir), str(os.getpid())):
            yield
    except Taken as error:
        raise AlreadyRuns(
            f"a job worker (process {error or 'unknown'}) runs for {data_dir}; ENABLE_BACKGROUND_TASKS=false keeps "
            "run_gunicorn.sh from starting one"
        ) from error


def _depths() -> Mapping[str, int] | None:
    try:
        return with_connection(queued_by_priority)
    except Unavailable:
        return None


def _started() -> Slot:
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=do_jobs, args=(theirs,), name="job", daemon=True)
    process.start()
    theirs.close()
    return Slot(process, mine)

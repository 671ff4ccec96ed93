"""A job worker over Redis: Celery takes ids from the queues of its mode, and runs each job in a process of its pool."""

from __future__ import annotations

import base64
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import bootsteps, signals
from celery.exceptions import TimeLimitExceeded
from celery.worker.control import inspect_command

from config.job_settings import JobSettings, job_settings
from database import clock
from database.calls import with_connection
from jobs.broker.application import application
from jobs.broker.messages import RUN_TASK, UNREADABLE_TASK
from jobs.broker.queues import queues_of
from jobs.kinds import catalogue
from jobs.models import DeadLetter
from jobs.watching.log_set_up import set_up_logs
from jobs.watching.outcomes import RunEnded
from jobs.workers import bursts, deaths, execution
from jobs.workers.pool_watch import HEARD_EVERY_S, PoolWatch
from vocabulary.jobs import Priority
from wire.errors import Unavailable

logger = logging.getLogger(__name__)
# A line or two for each job; what matters of one is logged where it runs.
for _chatty in ("celery.app.trace", "celery.worker.strategy", "celery.worker.request"):
    logging.getLogger(_chatty).setLevel(logging.CRITICAL)

DATABASE_WAIT_S = 5
LOOKED_AFTER_EVERY_S = 2.0

app = application()
_watch = PoolWatch(job_settings())


@app.task(name=RUN_TASK, bind=True, max_retries=None)
def run(self: Any, job_pk: int) -> None:
    began = time.monotonic()
    try:
        ended = _run(job_pk)
        if ended is not None:
            bursts.go_on(job_settings(), Priority(ended.priority), began, _run, keep_unreadable)
    except Unavailable as error:
        raise self.retry(exc=error, countdown=DATABASE_WAIT_S) from error


def _run(job_pk: int) -> RunEnded | None:
    with _watch.running() as runs:
        ended = execution.execute(job_pk)
        if ended is not None:
            runs.append(ended)
    return ended


@app.task(name=UNREADABLE_TASK)
def unreadable(body: str) -> None:
    keep_unreadable(base64.b64decode(body))


def keep_unreadable(body: bytes) -> None:
    """Keep a message that nobody can read."""
    logger.error("a message in a queue of jobs cannot be read, and is kept as a dead letter")
    with_connection(_keep, body)


def _keep(body: bytes) -> None:
    DeadLetter.objects.create(reason="the message is none of this service", body=body, at=clock.now())


def serve(is_over: Callable[[], bool]) -> None:
    """Work until the process is told to end, or it is over; runs that have not ended after some seconds then are queued
    again. Raises BadAddress."""
    settings = job_settings()
    catalogue()  # What does the work is loaded once, and not by every process at its first job.
    _watch.open()
    LookingAfter.is_over = is_over
    execution.let_go()
    try:
        app.worker_main(arguments(settings))
    finally:
        _watch.watch.say()
        with_connection(deaths.give_back_of_dead, socket.gethostname())


def arguments(settings: JobSettings) -> list[str]:
    name = f"{settings.group}-{os.getpid()}@%h"
    queues = queues_of(settings.types, settings.priorities)
    return [
        "--quiet",
        "worker",
        f"--hostname={name}",
        f"--queues={','.join(queues)}",
        f"--concurrency={settings.slots}",
        f"--loglevel={settings.log_level}",
        "--pool=prefork",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]


@signals.task_failure.connect
def note_a_death(sender: Any = None, args: Any = (), exception: Any = None, **_: Any) -> None:
    """A process of the pool died or is over its time limit. What the job raised itself was noted where it ran."""
    if sender is None or sender.name != RUN_TASK or not args or os.getpid() != _parent:
        return
    note = deaths.note_time_out if isinstance(exception, TimeLimitExceeded) else deaths.note_death
    try:
        ended = with_connection(note, args[0], socket.gethostname(), job_settings().max_retries)
    except Unavailable:
        logger.warning("the end of a process cannot be noted now; its job's lease ends by itself")
        return
    finally:
        execution.let_go()  # Before the next fork.
    if ended is not None:
        _watch.watch.tally.count(ended)


_parent = os.getpid()
_scheduler: list[subprocess.Popen[bytes]] = []


@inspect_command()
def job_load(state: Any, **_: Any) -> dict[str, Any]:
    """What the rule for the size of a group needs to know."""
    return _watch.load()


@signals.setup_logging.connect
def leave_logs_alone(**_: Any) -> None:
    """Celery would set up its own."""


@signals.celeryd_init.connect
def set_up_logs_again(**_: Any) -> None:
    """Celery has set Django up meanwhile, and so its logs."""
    set_up_logs(job_settings())


@signals.worker_process_init.connect
def leave_to_parent(**_: Any) -> None:
    _watch.forget()


class LookingAfter(bootsteps.StartStopStep):  # type: ignore[misc]  # the package is not typed
    """What the parent does now and then. Begun anew with each connection: some timers end with one that is lost."""

    requires = ("celery.worker.consumer.tasks:Tasks",)
    is_over: Callable[[], bool] = staticmethod(lambda: False)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._entries: list[Any] = []

    def start(self, parent: Any) -> None:
        for entry in self._entries:
            entry.cancel()
        self._entries = [
            parent.timer.call_repeatedly(HEARD_EVERY_S, _watch.hear, (parent.pool,)),
            parent.timer.call_repeatedly(LOOKED_AFTER_EVERY_S, _end_if_over),
        ]
        if job_settings().has_scheduler:
            self._entries.append(parent.timer.call_repeatedly(LOOKED_AFTER_EVERY_S, _keep_scheduler))
            _keep_scheduler()


def _end_if_over() -> None:
    if LookingAfter.is_over():
        os.kill(os.getpid(), signal.SIGTERM)


app.steps["consumer"].add(LookingAfter)


@signals.worker_shutting_down.connect
def stop_scheduler(**_: Any) -> None:
    for process in _scheduler:
        process.terminate()


def _keep_scheduler() -> None:
    """A scheduler in a process of its own: this one forks, and must hold no connection meanwhile."""
    if _scheduler and _scheduler[0].poll() is None:
        return
    if _scheduler:
        logger.warning("the scheduler ended with %s, and is started again", _scheduler[0].returncode)
    manage = Path(__file__).resolve().parents[2] / "manage.py"
    _scheduler[:] = [subprocess.Popen([sys.executable, str(manage), "jobs", "scheduler", "--parent", str(os.getpid())])]

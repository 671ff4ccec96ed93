"""A job worker over Redis: Celery takes ids from the queues of its mode, and runs each job in a process of its pool."""

from __future__ import annotations

import base64
import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from celery import signals
from celery.exceptions import TimeLimitExceeded

from config.job_settings import JobSettings, job_settings
from database import clock
from database.calls import with_connection
from jobs.broker.application import application
from jobs.broker.messages import RUN_TASK, UNREADABLE_TASK
from jobs.broker.queues import queues_of
from jobs.models import DeadLetter
from jobs.workers import bursts, deaths, execution
from wire.errors import Unavailable

logger = logging.getLogger(__name__)
# A line or two for each job; what matters of one is logged where it runs.
for _chatty in ("celery.app.trace", "celery.worker.strategy", "celery.worker.request"):
    logging.getLogger(_chatty).setLevel(logging.CRITICAL)

DATABASE_WAIT_S = 5
LOOKED_AFTER_EVERY_S = 2.0

app = application()


@app.task(name=RUN_TASK, bind=True, max_retries=None)
def run(self: Any, job_pk: int) -> None:
    began = time.monotonic()
    try:
        execution.execute(job_pk)
        bursts.go_on(job_settings(), began, keep_unreadable)
    except Unavailable as error:
        raise self.retry(exc=error, countdown=DATABASE_WAIT_S) from error


@app.task(name=UNREADABLE_TASK)
def unreadable(body: str) -> None:
    keep_unreadable(base64.b64decode(body))


def keep_unreadable(body: bytes) -> None:
    """Keep a message that nobody can read."""
    logger.error("a message in a queue of jobs cannot be read, and is kept as a dead letter")
    with_connection(_keep, body)


def _keep(body: bytes) -> None:
    DeadLetter.objects.create(reason="the message is none of this service", body=body, at=clock.now())


def serve() -> None:
    """Work until the process is told to end; runs that have not ended after some seconds then are queued again."""
    settings = job_settings()
    try:
        app.worker_main(arguments(settings))
    finally:
        with_connection(deaths.give_back_of_dead, socket.gethostname())


def arguments(settings: JobSettings) -> list[str]:
    name = f"{settings.mode}-{os.getpid()}@%h"
    queues = queues_of(settings.types, settings.priorities)
    return [
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
    """A process of the pool died or was ended at its time limit. What the job raised itself was noted where it ran."""
    if sender is None or sender.name != RUN_TASK or not args or os.getpid() != _parent:
        return
    note = deaths.note_time_out if isinstance(exception, TimeLimitExceeded) else deaths.note_death
    try:
        with_connection(note, args[0], socket.gethostname(), job_settings().max_retries)
    except Unavailable:
        logger.warning("a death cannot be noted now; the job's lease ends by itself")
    finally:
        execution.let_go()  # Before the next fork.


_parent = os.getpid()
_scheduler: list[subprocess.Popen[bytes]] = []


@signals.worker_ready.connect
def start_scheduler(sender: Any = None, **_: Any) -> None:
    if job_settings().has_scheduler:
        sender.timer.call_repeatedly(LOOKED_AFTER_EVERY_S, _keep_scheduler)
        _keep_scheduler()


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

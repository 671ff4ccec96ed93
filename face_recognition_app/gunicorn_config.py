"""Gunicorn's configuration, from the service's settings."""

from __future__ import annotations

import logging
import math
import os
import shutil
import signal
import sys
import time
from types import FrameType
from typing import TYPE_CHECKING

from config.job_settings import load_job_settings
from config.processes.locks import job_worker_lock
from config.processes.number import publish_worker_count
from config.settings import SettingsError, load
from database import clock  # noqa: F401 - read before the fork, so that every worker inherits the reading
from logs.destinations import BadLogFile
from server import job_worker, notifying
from server.graceful_exit import graceful_timeout_s, stop_timeout_s
from server.gunicorn_log import check_log_file
from server.roster import Request, Stage, shared_roster

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter

    from server.worker import FaceWorker

try:
    _settings = load()
    _job_settings = load_job_settings()
    check_log_file(_settings)
except (SettingsError, BadLogFile) as error:
    sys.exit(f"configuration error: {error}")

_log = logging.getLogger("gunicorn.error")
_roster = shared_roster()
_job_workers = job_worker.of_this_master()
_notifier = notifying.of_this_master()
# Zero at the start. A reload reads this file anew, and keeps the number of workers that it finds.
_workers_before_reload = _roster.lasting
_metrics_dir = _settings.run_dir / "metrics"

bind = [_settings.bind, *([_settings.admin_bind] if _settings.admin_bind else [])]
workers = _settings.workers
worker_class = "server.worker.FaceWorker"
timeout = _settings.timeout_s
graceful_timeout = graceful_timeout_s(_settings.drain_s)
keepalive = _settings.keepalive_s
backlog = _settings.backlog
max_requests = _settings.max_requests
max_requests_jitter = _settings.max_requests_jitter
preload_app = _settings.preload
loglevel = _settings.log_level
errorlog = "-"
logger_class = "server.gunicorn_log.ServiceLogger"
# One listener for all workers: with a queue for each, connections would wait in that of one that starts or died.
reuse_port = False
# Heartbeat files in memory: no worker could start while the disk is full or read-only.
_memory = "/dev/shm"  # noqa: S108 - Gunicorn makes its files there with names that nobody can guess
worker_tmp_dir = _memory if os.access(_memory, os.W_OK) else None
# A second service of one user would collide on the default control socket.
control_socket = str(_settings.run_dir / "gunicorn.ctl")


def on_starting(server: Arbiter) -> None:
    """Empty the directory of the workers' metrics: files of an earlier run would be added to theirs."""
    _notifier.take_over()
    shutil.rmtree(_metrics_dir, ignore_errors=True)
    try:
        _metrics_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        server.log.error("each worker reports its own metrics only: %s", error)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics_dir)
    _note("on_starting", f"as {_settings.app_env}")


def when_ready(server: Arbiter) -> None:
    """Mark the roster as stopping before Gunicorn signals the workers, so that none waits for a replacement. Start the
    job worker, if there shall be one."""
    _notifier.begin(lambda: _serving(server))

    def stop(number: int, frame: FrameType | None) -> None:
        _roster.stop()
        _notifier.stopping(stop_timeout_s(_settings.drain_s))
        for worker in _job_workers:
            worker.stop()
        server.signal(number, frame)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, stop)
    if _job_settings.runs_beside_gunicorn and not _job_workers:
        lock = job_worker_lock(_settings.data_dir)
        _job_workers.append(
            job_worker.JobWorker(job_worker.command(), lock, lambda: _roster.has_served, _forget_metrics)
        )
        _job_workers[0].start()
    _note("when_ready", f"listening; control socket {control_socket}")


def _serving(server: Arbiter) -> notifying.Serving:
    started = [worker for worker in list(server.WORKERS.values()) if worker.slot.stage > Stage.STARTING]
    return notifying.Serving(
        ready=_roster.count(Stage.READY),
        wanted=_roster.lasting,
        lively=sum(_silence_s(worker) <= server.timeout for worker in started),
        enough=_roster.has_enough_ready,
    )


def _silence_s(worker: FaceWorker) -> float:
    """Time since the last heartbeat."""
    try:
        return time.monotonic() - float(worker.tmp.last_update())
    except (OSError, ValueError):  # It has ended, and its file is closed.
        return math.inf


def on_exit(server: Arbiter) -> None:
    for worker in _job_workers:
        worker.stop()
        worker.join()
    _note("on_exit", "the service ends")


def nworkers_changed(server: Arbiter, new_value: int, old_value: int | None) -> None:
    """Publish the number of workers, at the start and whenever a signal or a reload changes it."""
    publish_worker_count(new_value)
    _roster.wanted = new_value
    if old_value is not None and new_value > old_value:
        _roster.grant()
    _note("nworkers_changed", f"{new_value} workers are wanted, before {old_value or 0}")


def on_reload(server: Arbiter) -> None:
    """Keep the number of workers that was set while the service ran: Gunicorn has set the configured one."""
    _roster.forget_grants()
    server.cfg.set("workers", _workers_before_reload)
    server.num_workers = _workers_before_reload
    _note("on_reload", f"{_settings.workers} workers are configured, {_workers_before_reload} are wanted")


def pre_fork(server: Arbiter, worker: FaceWorker) -> None:
    worker.slot = _roster.enter()
    _note("pre_fork", f"slot {worker.slot.number}")


def post_fork(server: Arbiter, worker: FaceWorker) -> None:
    _note("post_fork", f"worker {worker.pid} in slot {worker.slot.number}")


def post_worker_init(worker: FaceWorker) -> None:
    """The application is loaded; the models are not."""
    _note("post_worker_init", f"worker {worker.pid} has loaded the application")


def worker_exit(server: Arbiter, worker: FaceWorker) -> None:
    """Called by a worker that ends by itself, and by none that is killed: those are seen by `child_exit` alone."""
    _note("worker_exit", f"worker {worker.pid} ends")


def child_exit(server: Arbiter, worker: FaceWorker) -> None:
    """Free the worker's slot. If a replacement was granted, it stays, and the master wants one worker fewer again."""
    try:
        _forget_metrics(worker.pid)
    except OSError as error:  # Raised further, it would end the master and the service.
        server.log.error("the metrics still count the connections of worker %d: %s", worker.pid, error)
    _note("child_exit", f"worker {worker.pid} has ended, {worker.slot.stage.name.lower()} before")
    replaced = worker.slot.request is Request.GRANTED
    _roster.leave(worker.slot)
    if replaced:
        server.num_workers -= 1


def _note(hook: str, what: str) -> None:
    _log.info("lifecycle %s: %s", hook, what)


def _forget_metrics(pid: int) -> None:
    """Leave out what holds of live processes only."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)  # type: ignore[no-untyped-call]

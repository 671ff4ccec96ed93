"""Gunicorn's configuration, from the service's settings."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING

from config.processes import publish_worker_count
from config.settings import SettingsError, load
from database import clock  # noqa: F401 - read before the fork, so that every worker inherits the reading
from server.graceful_exit import SHUTDOWN_S
from server.roster import Request, shared_roster

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter

    from server.worker import FaceWorker

try:
    _settings = load()
except SettingsError as error:
    sys.exit(f"configuration error: {error}")

_roster = shared_roster()
_metrics_dir = _settings.run_dir / "metrics"

bind = [_settings.bind, *([_settings.admin_bind] if _settings.admin_bind else [])]
workers = _settings.workers
worker_class = "server.worker.FaceWorker"
timeout = _settings.timeout_s
# How long the master waits for its workers when it ends: the drain, then requests that are still in work.
graceful_timeout = int(_settings.drain_s) + SHUTDOWN_S + 10
keepalive = 65
backlog = 2048
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
    shutil.rmtree(_metrics_dir, ignore_errors=True)
    try:
        _metrics_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        server.log.error("each worker reports its own metrics only: %s", error)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics_dir)


def when_ready(server: Arbiter) -> None:
    """Mark the roster as stopping before Gunicorn signals the workers, so that none waits for a replacement."""

    def stop(number: int, frame: FrameType | None) -> None:
        _roster.stop()
        server.signal(number, frame)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, stop)


def nworkers_changed(server: Arbiter, new_value: int, old_value: int | None) -> None:
    """Publish the number of workers, at the start and whenever a signal or a reload changes it."""
    publish_worker_count(new_value)
    _roster.wanted = new_value
    if old_value is not None and new_value > old_value:
        _roster.grant()


def on_reload(server: Arbiter) -> None:
    _roster.forget_grants()


def pre_fork(server: Arbiter, worker: FaceWorker) -> None:
    worker.slot = _roster.enter()


def child_exit(server: Arbiter, worker: FaceWorker) -> None:
    """Free the worker's slot. If a replacement was granted, it stays, and the master wants one worker fewer again."""
    from prometheus_client.multiprocess import mark_process_dead

    try:
        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
    except OSError as error:  # Raised further, it would end the master and the service.
        server.log.error("the metrics still count the connections of worker %d: %s", worker.pid, error)
    replaced = worker.slot.request is Request.GRANTED
    _roster.leave(worker.slot)
    if replaced:
        server.num_workers -= 1

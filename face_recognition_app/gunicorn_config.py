"""Gunicorn's configuration, from the service's settings."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Any

from ops.processes import announce
from ops.settings import SettingsError, load

try:
    _settings = load()
except SettingsError as error:
    sys.exit(f"configuration error: {error}")

_metrics_dir = _settings.run_dir / "metrics"

bind = [_settings.bind, *([_settings.admin_bind] if _settings.admin_bind else [])]
workers = _settings.workers
worker_class = "server.worker.FaceWorker"
timeout = _settings.timeout_s
graceful_timeout = 30
keepalive = 65
backlog = 2048
loglevel = _settings.log_level
errorlog = "-"
# One listener per worker: connections spread instead of piling up on the first to wake; server.siblings evens them out.
reuse_port = True
# A second service of one user would collide on the default control socket.
control_socket = str(_settings.run_dir / "gunicorn.ctl")


def on_starting(server: Any) -> None:
    """Workers write their metrics beside each other; what an earlier run left is not theirs."""
    shutil.rmtree(_metrics_dir, ignore_errors=True)
    _metrics_dir.mkdir(parents=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_metrics_dir)


def nworkers_changed(server: Any, new_value: int, old_value: int | None) -> None:
    """At the start, whatever flag gave the number, and whenever a signal changes it."""
    announce(new_value)


def child_exit(server: Any, worker: Any) -> None:
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]

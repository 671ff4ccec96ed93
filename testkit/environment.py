"""The variables of this process without its own settings, for the processes that tests start."""

from __future__ import annotations

import os

_SETTINGS = (
    *("API_WORKERS", "APP_ENV", "DATABASE_", "DB_", "DJANGO_", "ENABLE_", "FACE_", "GUNICORN_", "JOB_", "LOG_"),
    *("MAX_RETRIES", "PRELOAD_APP", "PROMETHEUS_", "REDIS_", "SCHEDULER_", "WORKER_"),
)
"""Beginnings of their names."""


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}

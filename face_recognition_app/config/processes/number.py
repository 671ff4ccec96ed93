"""The actual number of worker processes. Gunicorn's `-w`, TTIN and TTOU override the setting, so its master publishes
the number to the workers that it starts. Other servers are one process, unless GUNICORN_WORKERS says otherwise."""

from __future__ import annotations

import os

from config.settings import Settings

_VARIABLE = "SERVING_PROCESSES"


def publish_worker_count(number: int) -> None:
    """Publish the number to every process that is started from now on."""
    os.environ[_VARIABLE] = str(number)


def with_actual_workers(settings: Settings) -> Settings:
    """The settings with the actual number of workers."""
    published = os.environ.get(_VARIABLE)
    if published is not None:
        return settings.model_copy(update={"workers": max(1, int(published))})
    return settings if "workers" in settings.model_fields_set else settings.model_copy(update={"workers": 1})

"""How many processes serve beside each other. Gunicorn tells each worker that it starts, since a flag or a signal may
have changed their number; of other servers there is one process, unless GUNICORN_WORKERS says otherwise."""

from __future__ import annotations

import os

from config.settings import Settings

_VARIABLE = "SERVING_PROCESSES"


def announce(number: int) -> None:
    """To every process that is started from now on."""
    os.environ[_VARIABLE] = str(number)


def of_this_process(settings: Settings) -> Settings:
    """The settings, with as many workers as there are."""
    announced = os.environ.get(_VARIABLE)
    if announced is not None:
        return settings.model_copy(update={"workers": max(1, int(announced))})
    return settings if "workers" in settings.model_fields_set else settings.model_copy(update={"workers": 1})

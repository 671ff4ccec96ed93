"""How many processes serve beside each other: Gunicorn tells its workers, whose number a flag or a signal may have
changed; any other server has one."""

from __future__ import annotations

import os

from ops.settings import Settings

_VARIABLE = "SERVING_PROCESSES"


def announce(number: int) -> None:
    """To every process that is started from now on."""
    os.environ[_VARIABLE] = str(number)


def of_this_process(settings: Settings) -> Settings:
    """The settings, with as many workers as there really are."""
    return settings.model_copy(update={"workers": max(1, int(os.environ.get(_VARIABLE, "1")))})

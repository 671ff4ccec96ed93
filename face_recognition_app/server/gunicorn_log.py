"""Gunicorn's log in the service's own form, and where the service's log goes."""

from __future__ import annotations

import logging

from gunicorn.config import Config
from gunicorn.glogging import Logger

from config.settings import Settings, load
from logs import destinations
from logs.formats import ProcessName

STANDARD_ERROR = "-"


def web_process() -> ProcessName:
    return destinations.this_process(destinations.WEB, destinations.WEB)


def check_log_file(settings: Settings) -> None:
    """Raises BadLogFile, before anything starts."""
    _handlers(settings)


def _handlers(settings: Settings) -> list[logging.Handler]:
    file = destinations.log_file(settings, settings.data_dir, destinations.WEB)
    return destinations.handlers_of(settings, web_process(), file)


class ServiceLogger(Logger):  # type: ignore[misc]  # the package is not typed
    """Gunicorn's logger with the handlers of the workers. `--error-logfile` still names another file for it alone."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        if cfg.errorlog == STANDARD_ERROR:
            self.error_log.handlers[:] = _handlers(load())

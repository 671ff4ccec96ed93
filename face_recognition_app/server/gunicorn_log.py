"""Gunicorn's log in the service's own format."""

from __future__ import annotations

from gunicorn.config import Config
from gunicorn.glogging import Logger

from logs.lines import LINE_FORMAT, LineFormatter, RequestIdFilter


class ServiceLogger(Logger):  # type: ignore[misc]  # the package is not typed
    """Gunicorn's logger, whose lines look like those of the workers: Gunicorn's own are in the machine's time zone."""

    def setup(self, cfg: Config) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(LineFormatter(LINE_FORMAT))
            handler.addFilter(RequestIdFilter())

"""Where the lines of a process go, and in which form: one way for the web service, job workers and commands."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from config.groups.logs import LogSettings
from logs.formats import JsonLines, ProcessName, TextLines
from logs.lines import Redaction, RequestIdFilter
from logs.rotating_file import SharedRotatingFile, opened

MEGABYTE = 1_000_000
WEB = "web"
OUR_LOGGERS = (
    *("audit", "backup", "config", "core", "database", "demo", "face_app", "gallery", "jobs", "logs", "monitoring"),
    *(
        "recognition",
        "scheduling",
        "server",
        "supervision",
        "tenants",
        "vocabulary",
        "weights",
        "web",
        "webhooks",
        "wire",
    ),
)
"""Rooms of this repository. Libraries tell at `debug` what they handle: messages of sockets with frames and decisions,
statements with their values, requests with their headers. So their lines begin at `info`, whatever is asked for."""


class BadLogFile(Exception):
    """The log file cannot be written."""


class _Not503(logging.Filter):
    """Overload and outages are logged at intervals elsewhere, not once for each answer."""

    def filter(self, record: logging.LogRecord) -> bool:
        return getattr(record, "status_code", None) != 503


def this_process(name: str, mode: str) -> ProcessName:
    return ProcessName(f"{name}@{socket.gethostname()}", mode)


def set_up_logs(settings: LogSettings, process: ProcessName, file: Path | None) -> None:
    """Send the lines of this process, and of those forked from it, where `settings` says. `file`: see `log_file`.

    Raises BadLogFile.
    """
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers[:] = handlers_of(settings, process, file)
    root.setLevel(max(logging.INFO, level))
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(level if level < logging.INFO else logging.NOTSET)
    # Also those of the command `uvicorn`, whose lines would have the tokens of sockets. Lists of their own: a worker of
    # Gunicorn has given Uvicorn's loggers its own list of handlers.
    for name in ("uvicorn", "uvicorn.error"):
        uvicorn = logging.getLogger(name)
        uvicorn.handlers, uvicorn.propagate = [], True
        uvicorn.setLevel(logging.NOTSET)
    # Access lines are off by default; without a handler Uvicorn does not even format them.
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], settings.log_level == "debug"
    logging.getLogger("django.request").filters[:] = [_Not503()]


def handlers_of(settings: LogSettings, process: ProcessName, file: Path | None) -> list[logging.Handler]:
    """Raises BadLogFile."""
    handlers = list(_destinations(settings, file)) or [logging.NullHandler()]
    for handler in handlers:
        handler.setFormatter(JsonLines(process) if settings.log_format == "json" else TextLines())
        handler.addFilter(Redaction())
        handler.addFilter(RequestIdFilter())
    return handlers


def log_file(settings: LogSettings, data_dir: Path, name: str) -> Path | None:
    """The file of the processes called `name`, unless LOG_FILE_PATH names one for all; None if none is wanted."""
    return (settings.log_file_path or data_dir / "log" / f"{name}.log") if settings.log_file else None


def _destinations(settings: LogSettings, file: Path | None) -> Iterator[logging.Handler]:
    if settings.log_console:
        yield logging.StreamHandler(sys.stderr)
    if file is None:
        return
    try:
        yield SharedRotatingFile(file, settings.log_file_max_mb * MEGABYTE, settings.log_file_backups)
        os.close(opened(file))
    except OSError as error:
        raise BadLogFile(f"LOG_FILE_PATH={file}: {error.strerror or error}") from error

"""Where the lines of a job worker's processes go, and in which form."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from config.job_settings import JobSettings
from config.service import service_settings
from logs.job_lines import JsonLines, TextLines, WorkerName
from logs.lines import RequestIdFilter, TokenFilter
from logs.rotating_file import SharedRotatingFile
from vocabulary.jobs import WorkerMode

MEGABYTE = 1_000_000
SCHEDULER = "scheduler"


class BadLogFile(Exception):
    """The log file cannot be written."""


def set_up_logs(settings: JobSettings, *, schedules_only: bool = False) -> None:
    """Replace what Django's settings have set up, in this process and those that are forked from it.

    `schedules_only`: this process runs no jobs, whatever the mode says. Raises BadLogFile.
    """
    mode = WorkerMode.SCHEDULER_ONLY if schedules_only else settings.mode
    group = SCHEDULER if mode is WorkerMode.SCHEDULER_ONLY else settings.group
    worker = WorkerName(f"{group}@{socket.gethostname()}", mode.value)
    handlers = list(_handlers(settings, group)) or [logging.NullHandler()]
    for handler in handlers:
        handler.setFormatter(JsonLines(worker) if settings.log_format == "json" else TextLines())
        handler.addFilter(TokenFilter())
        handler.addFilter(RequestIdFilter())
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(settings.log_level.upper())


def log_file(settings: JobSettings, group: str) -> Path:
    """One for each group and for schedulers, unless LOG_FILE_PATH names one for all."""
    name = group if group == SCHEDULER else f"worker-{group}"
    return settings.log_file_path or service_settings().data_dir / "log" / f"{name}.log"


def _handlers(settings: JobSettings, group: str) -> Iterator[logging.Handler]:
    if settings.log_console:
        yield logging.StreamHandler(sys.stderr)
    if settings.log_file:
        path = log_file(settings, group)
        try:
            yield SharedRotatingFile(path, settings.log_file_max_mb * MEGABYTE, settings.log_file_backups)
            path.open("ab").close()
        except OSError as error:
            raise BadLogFile(f"LOG_FILE_PATH={path}: {error.strerror or error}") from error

"""Lines of job workers, as text or as JSON: each names the worker and, while one runs, the job."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from logs import job_context
from logs.lines import LINE_FORMAT, LineFormatter, one_line

FIGURES = "figures"
"""Attribute of a record: a mapping of figures, which become fields in JSON and `name=value` in text."""


@dataclass(frozen=True, slots=True)
class WorkerName:
    name: str
    mode: str


class TextLines(LineFormatter):
    """As the web service's lines, followed by the job and by figures."""

    def __init__(self) -> None:
        super().__init__(LINE_FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        facts = {**_figures(record), **_job()}
        return super().formatMessage(record) + "".join(f" {name}={_plain(value)}" for name, value in facts.items())


class JsonLines(LineFormatter):
    """One JSON object a line. Times are UTC, as in text."""

    def __init__(self, worker: WorkerName) -> None:
        super().__init__(LINE_FORMAT)
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        found: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": one_line(record.getMessage()),
            **_figures(record),
            "request_id": getattr(record, "request_id", "-"),
            **_job(),
            "worker": self._worker.name,
            "mode": self._worker.mode,
            "process": record.process,
        }
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False, default=str)


def _job() -> dict[str, Any]:
    job = job_context.current.get()
    return {} if job is None else {"job_id": job.id, "type": job.type, "tenant": job.tenant}


def _figures(record: logging.LogRecord) -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(record, FIGURES, {})
    return found


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{one}" for name, one in value.items())
    return "-" if value is None else str(value)

"""Lines of every process, as text or as JSON: each names its process, and the request, session and job it is about."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from logs import context, request_id
from logs.lines import LINE_FORMAT, LineFormatter, one_line

FIGURES = "figures"
"""Attribute of a record: a mapping of figures, which become fields in JSON and `name=value` in text."""


@dataclass(frozen=True, slots=True)
class ProcessName:
    """`name`: `web`, or a group of job workers, with the host. `mode`: `web`, or how such a worker works."""

    name: str
    mode: str


class TextLines(LineFormatter):
    """One line each, which ends with figures and with what is known of whom it is about."""

    def __init__(self) -> None:
        super().__init__(LINE_FORMAT)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        known = {name: value for name, value in _about().items() if value is not None}
        facts = {**_figures(record), **known, **_job()}
        return super().formatMessage(record) + "".join(f" {name}={_plain(value)}" for name, value in facts.items())


class JsonLines(LineFormatter):
    """One JSON object a line. Times are UTC, as in text."""

    def __init__(self, process: ProcessName) -> None:
        super().__init__(LINE_FORMAT)
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        found: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": one_line(record.getMessage()),
            **_figures(record),
            "request_id": None if (id_ := request_id.current.get()) == request_id.NONE else id_,
            **_about(),
            **_job(),
            "worker": self._process.name,
            "mode": self._process.mode,
            "process": record.process,
        }
        if record.exc_info:
            found["exception"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False, default=str)


def _about() -> dict[str, Any]:
    return {"session_id": context.session.get(), "tenant": context.tenant.get()}


def _job() -> dict[str, Any]:
    job = context.job.get()
    return {} if job is None else {"job_id": job.id, "type": job.type}


def _figures(record: logging.LogRecord) -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(record, FIGURES, {})
    return found


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{one}" for name, one in value.items())
    return "-" if value is None else str(value)

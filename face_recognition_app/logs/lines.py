"""Filters and formatter of log lines: the request's id, neither persons nor secrets, bounded length."""

from __future__ import annotations

import logging
import re
import time
from typing import Any

from logs import request_id

MAX_CHARACTERS = 4_000
"""Limit of a message and of each line of a traceback: both may hold what a client sent."""
LINE_FORMAT = "%(asctime)s %(levelname)s %(process)d %(name)s [%(request_id)s] %(message)s"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LEFT_OUT = re.compile(
    r"(?P<before>/ws/auth/process-image/|/subjects/)[^/\s\"'?]+"  # session tokens, and ids of persons
    r"|(?P<query>/[^\s\"'?]*\?)[^\s\"']+"
    r"|(?P<detail>\bDETAIL:).*"  # PostgreSQL's: the values of the row
)


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.current.get()
        return True


class Redaction(logging.Filter):
    """Leaves out of messages who a person is, and what opens something: the holder of a token can use its session."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redacted(record.getMessage())
        record.args = None
        return True


class LineFormatter(logging.Formatter):
    """Writes a message as one bounded line, whatever a client put into it, and a traceback as bounded lines.

    Times are UTC, and say so: 2026-11-29T10:11:12.345Z.
    """

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the library's name
        record.message = one_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the library's name
        lines = redacted(super().formatException(ei)).splitlines()
        return "\n".join(one_line(line) for line in lines)


def redacted(text: str) -> str:
    return _LEFT_OUT.sub(lambda found: f"{found['before'] or found['query'] or found['detail']}...", text)


def one_line(text: str) -> str:
    shown = text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}... ({len(text)} characters)"
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], shown)

"""What every log line carries, and what none may."""

from __future__ import annotations

import logging
import re

from ops import request_id

_TOKEN_IN_PATH = re.compile(r"(/ws/auth/process-image/)[^/\s\"?]+")


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.current.get()
        return True


class TokenFilter(logging.Filter):
    """Keeps session tokens out: whoever holds one may speak for its session."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _TOKEN_IN_PATH.sub(r"\1...", record.getMessage())
        record.args = None
        return True

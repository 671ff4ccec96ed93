"""What every log line carries."""

from __future__ import annotations

import logging

from ops import request_id


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.current.get()
        return True

"""One id for each request, in the answer's header and in every log line."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from contextvars import ContextVar

NONE = "-"
"""In place of an id, outside of requests."""
current: ContextVar[str] = ContextVar("request_id", default=NONE)
_VALID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


def choose(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The inbound x-request-id when it is valid, else a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _VALID.fullmatch(value):
            return value.decode()
    # Not a secret. The system's randomness would release the interpreter's lock, and the event loop would wait to get
    # it back from a thread that computes.
    return f"{random.getrandbits(128):032x}"

from __future__ import annotations

import io
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from logs.lines import LINE_FORMAT, MAX_CHARACTERS, LineFormatter, Redaction

SLACK = 100


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Output of `logging.getLogger("client")` through the service's own formatter and filter."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter("%(levelname)s %(message)s"))
    handler.addFilter(Redaction())
    logger = logging.getLogger("client")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def test_a_long_message_is_cut_and_its_length_logged(written: io.StringIO) -> None:
    logging.getLogger("client").warning("Not Found: %s", "/" + "a" * 20_000)
    (line,) = written.getvalue().splitlines()
    assert len(line) < MAX_CHARACTERS + SLACK
    assert line.endswith("(20012 characters)")


def test_line_breaks_of_a_client_are_escaped(written: io.StringIO) -> None:
    logging.getLogger("client").warning("Not Found: %s", "/x\r\nERROR forged\x1b[2K\u2028more")
    assert written.getvalue() == "WARNING Not Found: /x\\r\\nERROR forged\\x1b[2K\\u2028more\n"


def test_a_traceback_stays_readable_and_is_bounded_line_by_line(written: io.StringIO) -> None:
    try:
        raise ValueError("/ws/auth/process-image/secret/ " + "a" * 20_000)
    except ValueError:
        logging.getLogger("client").exception("it failed")
    lines = written.getvalue().splitlines()
    assert lines[:2] == ["ERROR it failed", "Traceback (most recent call last):"]
    assert max(map(len, lines)) < MAX_CHARACTERS + SLACK
    assert "secret" not in lines[-1]


def test_a_short_message_is_logged_unchanged(written: io.StringIO) -> None:
    logging.getLogger("client").warning("grüße %s", "alice")
    assert written.getvalue() == "WARNING grüße alice\n"


def test_the_time_is_utc_and_says_so() -> None:
    record = logging.makeLogRecord({"msg": "started", "request_id": "-", "levelname": "INFO", "name": "client"})
    record.created, record.msecs = 1_764_411_072.345, 345.0
    with in_time_zone("Asia/Jakarta"):
        line = LineFormatter(LINE_FORMAT).format(record)
    assert line.startswith("2025-11-29T10:11:12.345Z INFO ")


@contextmanager
def in_time_zone(name: str) -> Iterator[None]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Not Found: /api/v1/subjects/alice/templates/", "Not Found: /api/v1/subjects/.../templates/"),
        ("DELETE /face/api/v1/subjects/a%40b.example", "DELETE /face/api/v1/subjects/..."),
        ('"GET /api/v1/audit/?subject=alice&limit=1 HTTP/1.1" 200', '"GET /api/v1/audit/?... HTTP/1.1" 200'),
        ("duplicate key\nDETAIL:  Key (tenant_id, external_id)=(1, alice) exists.", "duplicate key\\nDETAIL:..."),
        ("WebSocket /ws/auth/process-image/alice/ [accepted]", "WebSocket /ws/auth/process-image/.../ [accepted]"),
        ("are there 3 subjects? alice asks", "are there 3 subjects? alice asks"),
    ],
)
def test_persons_and_tokens_are_left_out(written: io.StringIO, said: str, left: str) -> None:
    logging.getLogger("client").warning("%s", said)
    assert written.getvalue() == f"WARNING {left}\n"

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from logs.lines import MAX_CHARACTERS, LineFormatter, TokenFilter

SLACK = 100


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the service's own formatter and filter make of what `logging.getLogger("client")` says."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter("%(levelname)s %(message)s"))
    handler.addFilter(TokenFilter())
    logger = logging.getLogger("client")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


def test_what_a_client_sent_is_bounded_and_its_length_told(written: io.StringIO) -> None:
    logging.getLogger("client").warning("Not Found: %s", "/" + "a" * 20_000)
    (line,) = written.getvalue().splitlines()
    assert len(line) < MAX_CHARACTERS + SLACK
    assert line.endswith("(20012 characters)")


def test_no_client_writes_a_line_of_its_own(written: io.StringIO) -> None:
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


def test_what_is_short_is_written_as_it_is(written: io.StringIO) -> None:
    logging.getLogger("client").warning("grüße %s", "alice")
    assert written.getvalue() == "WARNING grüße alice\n"


def test_the_service_writes_its_lines_so() -> None:
    from face_app.settings import LOGGING

    assert LOGGING["formatters"]["line"]["()"] == "logs.lines.LineFormatter"  # type: ignore[index]

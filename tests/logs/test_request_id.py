from __future__ import annotations

import logging

import pytest

from logs import request_id
from logs.lines import RequestIdFilter


@pytest.mark.parametrize("given", [b"a", b"trace-1.2_3", b"x" * 128])
def test_a_valid_id_is_kept(given: bytes) -> None:
    assert request_id.choose([(b"host", b"x"), (b"x-request-id", given)]) == given.decode()


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 129, b"a\n", b"\xff", b'"><script>', b"a;b"])
def test_an_invalid_id_is_replaced(given: bytes) -> None:
    chosen = request_id.choose([(b"x-request-id", given)])
    assert request_id.choose([(b"x-request-id", chosen.encode())]) == chosen
    assert len(chosen) == 32


def test_a_request_without_an_id_gets_its_own() -> None:
    assert len({request_id.choose([]) for _ in range(100)}) == 100


def test_a_log_line_carries_the_id_of_its_request() -> None:
    token = request_id.current.set("trace-1")
    try:
        record = logging.makeLogRecord({})
        assert RequestIdFilter().filter(record)
    finally:
        request_id.current.reset(token)
    assert record.__dict__["request_id"] == "trace-1"

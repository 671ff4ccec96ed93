"""The load test suite reads its tools, fails below its thresholds, and a tiny run carries out every load."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace

import pytest

from bench.load.live import Tally
from bench.load.process import LoadProcess
from bench.load.streams import Outcome
from bench.load.suite import __main__ as suite
from bench.load.suite import loads
from bench.load.suite.__main__ import Plan, Report, Row
from bench.load.suite.backends import LOCUSTFILE, read_locust
from bench.load.suite.loads import LOADS, Line, Site, frames_of
from bench.load.suite.sample import Sample
from bench.load.suite.terminals import run_terminals
from bench.load.suite.tools import read_ab, read_hey
from testkit.delay import delayed
from testkit.patience import PATIENCE_S
from testkit.service import REPOSITORY, LiveService, free_port
from tests.conftest import needs_shared_data

needs_tools = pytest.mark.skipif(bool(suite.missing_tools()), reason=f"not here: {', '.join(suite.missing_tools())}")

PLAN = Plan((1,), 4, 1.0, 2, 5.0, (), least_success=99.9, most_p95_ms=500.0, least_rps=100.0)
ROW = Row("C8", "hey", 1, 1000, 100.0, 20.0, 500.0, 50.0, 99.9, {}, "")

AB = """
Complete requests:      1000
Failed requests:        30
   (Connect: 0, Receive: 0, Length: 30, Exceptions: 0)
Non-2xx responses:      20
Requests per second:    1519.41 [#/sec] (mean)
Time per request:       65.815 [ms] (mean)
Time per request:       0.658 [ms] (mean, across all concurrent requests)
  90%    134
  95%    135
 100%    152 (longest request)
"""
HEY = """
Summary:
  Average:	0.0549 secs
  Requests/sec:	8897.8943

Latency distribution:
  95%% in 0.0959 secs

Status code distribution:
  [200]	980 responses
  [503]	15 responses

Error distribution:
  [4]	Get "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused
  [1]	Get "http://127.0.0.1:1/": EOF
"""


def test_what_ab_prints_is_read_and_a_status_that_is_no_success_is_a_failure() -> None:
    read = read_ab(AB)
    assert read == Sample(970, {"status other than 2xx": 20, "failed": 10}, 1519.41, 65.815, 135.0)
    assert read.success_percent == 97.0


def test_what_hey_prints_is_read_with_its_statuses_and_errors() -> None:
    read = read_hey(HEY)
    assert (read.answered, read.per_s, read.mean_ms, read.p95_ms) == (980, 8897.8943, 54.9, 95.9)
    assert sorted(read.failures.values()) == [1, 4, 15]
    assert read.success_percent == 98.0


def test_what_locust_prints_is_summed_over_its_kinds_of_requests() -> None:
    people = {"name": "list people", "num_requests": 90, "num_failures": 0, "total_response_time": 900.0}
    keys = {"name": "fetch the keys", "num_requests": 10, "num_failures": 4, "total_response_time": 1000.0}
    text = json.dumps(
        [
            people | {"start_time": 100.0, "last_request_timestamp": 104.0, "response_times": {"10.0": 90}},
            keys | {"start_time": 101.0, "last_request_timestamp": 105.0, "response_times": {"100": 10}},
        ]
    )
    errors = """
# occurrences      Error
------------------|-----------------------
3                  GET fetch the keys: HTTPError('503 Server Error: Service Unavailable')
1                  GET fetch the keys: timed out
"""
    failures = {"HTTPError('503 Server Error: Service Unavailable')": 3, "timed out": 1}
    assert read_locust(text, errors) == Sample(96, failures, 19.2, 19.0, 100.0)


@needs_tools
def test_a_tool_that_fails_leaves_a_row_without_success(live_service: LiveService) -> None:
    nowhere = replace(live_service, base_url=f"http://127.0.0.1:{free_port()}")
    with LoadProcess() as streaming:
        (seen,) = Line("M16", "ab -n 1000 -c 100 $URL/api/health/").run(Site(nowhere, streaming, 1.0, 1, 5.0))
    assert seen.sample.success_percent == 0
    assert "Connection refused" in "".join(seen.sample.failures)


def test_a_socket_without_an_answer_is_a_failure() -> None:
    served = Tally(sent=9, answered=8, dropped=1, latencies_ms=[50.0] * 8)
    seen = frames_of(Outcome(4.0, 0.1, [served, Tally(sent=9, busy=1)]))
    assert (seen.answered, seen.per_s) == (8, 2.0)
    assert seen.failures == {"busy": 1, "socket without an answer": 1}


def test_a_row_at_its_thresholds_has_missed_none() -> None:
    assert suite.missed(PLAN, ROW) == []


@pytest.mark.parametrize(
    ("worse", "words"),
    [
        (replace(ROW, success_percent=99.8, failures={"status 503": 2}), "99.8 % success, not 99.9 (2 x status 503)"),
        (replace(ROW, p95_ms=501.0), "p95 501 ms, not 500"),
        (replace(ROW, p95_ms=None), "p95 - ms, not 500"),
        (replace(ROW, per_s=99.0), "99 answered/s, not 100"),
    ],
)
def test_each_threshold_that_is_missed_is_told(worse: Row, words: str) -> None:
    (miss,) = suite.missed(PLAN, worse)
    assert miss == f"hey, 1 workers: {words}"


def test_the_table_has_every_row_load_by_load_and_what_was_missed() -> None:
    rows = [replace(ROW, workers=workers, load=load) for workers in (1, 2) for load in ("hey", "ab")]
    heads, _, *cells, empty, miss = suite.text(Report(PLAN, rows, ["hey: too slow"])).splitlines()
    assert {line.count("|") for line in (heads, *cells)} == {10}
    assert [re.findall(r"`(\w+)` \| (\d)", line)[0] for line in cells] == [
        ("hey", "1"),
        ("hey", "2"),
        ("ab", "1"),
        ("ab", "2"),
    ]
    assert (empty, miss) == ("", "missed: hey: too slow")


def test_a_row_that_no_document_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        suite.main(["--only", "C8,Z1"])
    assert "rows are B10, C10, C13, C8, M16, M17" in capsys.readouterr().err


def test_without_a_tool_it_says_which_and_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "hey" else f"/usr/bin/{name}")
    assert suite.main([]) == 2
    assert "apt-get install hey" in capsys.readouterr().err


def test_the_document_has_every_line() -> None:
    document = (REPOSITORY / "docs" / "operations" / "load.md").read_text()
    for load in LOADS:
        if isinstance(load, Line):
            assert load.text in document, load.text


async def test_a_long_way_keeps_the_order_and_delays_each_direction() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    sent = bytes(range(256)) * 4_000
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        with delayed(server.sockets[0].getsockname()[1], round_trip_s=0.3) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for part in (b"ping", sent):
                began_s = time.monotonic()
                writer.write(part)
                assert await asyncio.wait_for(reader.readexactly(len(part)), PATIENCE_S) == part
                assert time.monotonic() - began_s >= 0.3
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
            writer.close()


async def test_whoever_comes_to_a_closed_port_over_a_long_way_is_cut_off() -> None:
    with delayed(free_port(), round_trip_s=0.0) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), PATIENCE_S) == b""
        writer.close()


@needs_tools
@pytest.mark.parametrize("host", ["http://192.0.2.1:80", "http://example.org", "http://127.0.0.1.example.org"])
def test_locust_asks_no_other_machine(host: str) -> None:
    command = [sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless", "--host", host]
    done = subprocess.run(
        [*command, "--users", "1", "--run-time", "1s"], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode
    assert "must be an address of this machine" in done.stderr
    assert re.search(r"Aggregated +0 +0\(", done.stdout + done.stderr)


def test_clients_of_the_terminal_are_greeted_and_answered(live_service: LiveService) -> None:
    assert run_terminals(live_service.base_url, 2).answered == 2


def test_clients_of_the_terminal_that_reach_nobody_are_failures() -> None:
    seen = run_terminals(f"http://127.0.0.1:{free_port()}", 2)
    assert (seen.answered, sum(seen.failures.values())) == (0, 2)


@needs_tools
@needs_shared_data
def test_a_tiny_run_carries_out_every_kind_of_load(capsys: pytest.CaptureFixture[str]) -> None:
    """A service of its own, since hundreds of sessions are left. How much is answered depends on the machine."""
    rows = ["--only", "M17,C10,C13", "--least-success", "0"]
    code = suite.main(["--workers", "1", "--seconds", "1", "--sockets", "2", *rows, "--json"])
    report = json.loads(capsys.readouterr().out)
    assert (code, report["missed"]) == (0, [])
    assert [row["source"] for row in report["rows"]] == ["M16, M17"] * 2 + ["M17"] + ["C10"] * 2 + ["C13"] * 3
    assert all(row["answered"] > 0 and row["mean_ms"] > 0 for row in report["rows"])
    far = [row["mean_ms"] for row in report["rows"] if "ms away" in row["load"]]
    assert len(far) == 2
    assert min(far) >= 1000 * loads.DISTANCE_S


@needs_tools
@needs_shared_data
def test_a_run_below_a_threshold_fails(
    live_service: LiveService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite, "temporary_service", lambda *_, **__: nullcontext(live_service))
    assert suite.main(["--workers", "2", "--only", "B10", "--least-rps", "1e9"]) == 1
    assert "missed: ab -n 1000" in capsys.readouterr().out

"""The bench of imports says what an import costs and what it costs others."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.imports.__main__ import Plan, Report, main
from bench.imports.inside import Speed
from bench.load.figures import latency
from tests.conftest import needs_shared_data

PLAN = Plan(pictures=10, database="sqlite", broker="none", streams=1, fps=5.0, seconds=1.0)
REPORT = Report(
    PLAN, 0.5, (Speed(45.0, 40.0), Speed(55.0, 40.0)), Speed(40.0, 41.0), 9, latency([10.0] * 50), latency([12.5] * 50)
)


def test_an_import_is_compared_with_the_engine_before_and_after() -> None:
    assert REPORT.share == 0.8
    assert REPORT.rise == 0.25


def test_streams_that_were_not_answered_are_no_success() -> None:
    assert replace(REPORT, streams_beside=latency([])).rise == float("inf")


@needs_shared_data
def test_a_small_run_imports_pictures_beside_streams(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--pictures", "40", "--streams", "1", "--seconds", "1", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["enrolled"] > 20
    assert report["imported"]["per_s"] > 0
    assert report["streams_beside"]["p95"] > 0

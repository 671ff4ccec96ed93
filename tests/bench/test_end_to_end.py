from __future__ import annotations

import json
from contextlib import nullcontext

import pytest

from bench import end_to_end
from bench.end_to_end import Plan, Report, Round
from testkit.service import LiveService
from tests.conftest import needs_shared_data


def test_the_share_is_the_median_of_the_rounds() -> None:
    rounds = [Round(100.0, 90.0), Round(200.0, 150.0), Round(100.0, 10.0)]
    assert Report(Plan(1.0, 3, 4, 1, 2), rounds).share == 0.75


@needs_shared_data
def test_a_small_run_compares_both_sides(
    live_service: LiveService, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(end_to_end, "running_service", lambda *_, **__: nullcontext(live_service))
    monkeypatch.setattr(end_to_end, "SETTLE_S", 0.5)
    code = end_to_end.main(["--seconds", "1", "--rounds", "1", "--sessions", "2", "--workers", "1", "--json"])
    report = json.loads(capsys.readouterr().out)
    (only,) = report["rounds"]
    assert only["bare_per_s"] > 1
    assert only["socket_per_s"] > 1
    assert code == int(report["share"] < 0.8)

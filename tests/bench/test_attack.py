"""The attack bench counts correctly, and a short run finds that the service withstands the attacks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.attack import __main__
from bench.attack.__main__ import Plan, Report, Row
from bench.attack.attacks import ATTACKS, Outcome
from bench.load.figures import latency
from tests.conftest import needs_shared_data

PLAN = Plan(seconds=1.0, together_s=2.0, sessions=1, fps=5.0, workers=1, pool_size=1, attacks=("long header", "pings"))
ROW = Row("all at once", 2, 2, latency([10.0] * 100), 10.0, before_mib=100.0, after_mib=105.0)
REPORT = Report(PLAN, [ROW], ROW, {"pings": Outcome(2, 2)}, calm_answers_per_s=20.0, answers_per_s=15.0)


def test_a_service_at_its_bars_has_missed_none() -> None:
    assert REPORT.missed == []


@pytest.mark.parametrize(
    ("worse", "bar"),
    [
        (replace(REPORT, together=replace(ROW, health_ms=latency([201.0] * 100))), "health"),
        (replace(REPORT, answers_per_s=14.9), "answers"),
        (replace(REPORT, together=replace(ROW, after_mib=105.1)), "memory"),
    ],
)
def test_each_bar_is_told_when_it_is_missed(worse: Report, bar: str) -> None:
    (missed,) = worse.missed
    assert missed.startswith(bar)


def test_an_attack_that_was_not_held_is_told_too() -> None:
    (missed,) = replace(REPORT, alone=[replace(ROW, attack="pings", held=1)]).missed
    assert missed == "pings: 1 of 2 held"


@needs_shared_data
def test_a_short_run_tries_and_holds_every_attack_that_it_was_told() -> None:
    report = __main__.run(PLAN)
    assert [row.attack for row in report.alone] == list(PLAN.attacks) == list(report.each_together)
    assert all(row.tried == row.held > 0 for row in report.alone)
    assert report.calm_answers_per_s > 0
    assert set(PLAN.attacks) < set(ATTACKS)

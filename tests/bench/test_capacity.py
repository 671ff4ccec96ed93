"""The sizing table: its default settings, the order of the search, and the text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from bench import capacity, cli
from bench.capacity import LOADS, Load, Row, Search, Setting, default_settings, parse_settings, sizing_table
from bench.load.figures import Step, step_of
from bench.load.live import Tally
from bench.load.server_usage import Usage
from bench.load.streams import Outcome
from bench.stream import Plan
from tests.conftest import needs_shared_data

SANDBOX, IDENTIFICATION = LOADS


def steady() -> Step:
    usage = Usage(at_s=0.0, cpu_s=0.0, rss_bytes=0, pss_bytes=0, threads=1, processes=3)
    answered = Tally(sent=40, answered=40, decided=6, latencies_ms=[80.0] * 40, late_ms=[0.0] * 40, errors=Counter())
    return step_of(Outcome(4.0, 0.4, [answered]), usage, replace(usage, at_s=4.0, cpu_s=6.0))


def row(load: Load, setting: Setting, sessions: int) -> Row:
    return Row(load, setting, sessions, 210.4, steady() if sessions else None)


def test_settings_are_read() -> None:
    assert parse_settings("1x4,2x8") == [Setting(1, 4), Setting(2, 8)]
    assert ",".join(map(str, parse_settings("1x4,2x8"))) == "1x4,2x8"


@pytest.mark.parametrize("text", ["", "4", "2x", "x8", "0x4", "2x-1", "axb"])
def test_other_settings_are_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        capacity.main(["--settings", text])
    assert "invalid parse_settings value" in capsys.readouterr().err


def test_each_setting_is_tried_once_by_default() -> None:
    assert default_settings(1) == [Setting(1, 4), Setting(1, 8)]
    assert default_settings(8) == [Setting(1, 4), Setting(8, 4), Setting(8, 8)]


def test_the_table_is_markdown_load_by_load() -> None:
    small, large = Setting(1, 4), Setting(2, 8)
    rows = [row(load, setting, 4) for setting in (small, large) for load in LOADS]
    heads, line, *cells = sizing_table([*rows[:3], row(IDENTIFICATION, large, 0)]).splitlines()
    assert heads.startswith("| load | workers | pool size | sessions |")
    assert len({text.count("|") for text in (heads, line, *cells)}) == 1
    assert cells[0] == "| sandbox, liveness passive | 1 | 4 | 4 | 10 | 1.5 | 80 | 210 | 1.50 | 0.10 |"
    assert cells[1].startswith("| sandbox, liveness passive | 2 | 8 |")
    assert cells[3] == "| identification, liveness none | 2 | 8 | 0 | - | - | - | 210 | - | - |"


Measure = Callable[[Setting, Load, Plan], Row]


def machine_that_holds(sessions: int, guesses: list[tuple[Load, int]]) -> Measure:
    def measure(setting: Setting, load: Load, plan: Plan) -> Row:
        assert (plan.kind, plan.liveness) == (load.kind, load.liveness)
        assert (plan.workers, plan.pool_size) == (setting.workers, setting.pool_size)
        guesses.append((load, plan.guess))
        return row(load, setting, sessions * setting.workers if load == SANDBOX else 0)

    return measure


def test_a_search_begins_where_the_one_before_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    guesses: list[tuple[Load, int]] = []
    monkeypatch.setattr(capacity, "_measure", machine_that_holds(5, guesses))
    rows = capacity.measure([Setting(1, 4), Setting(2, 4)], Search(fps=10.0, seconds=5.0, guess=8))
    assert guesses == [(SANDBOX, 8), (IDENTIFICATION, 8), (SANDBOX, 5), (IDENTIFICATION, 1)]
    assert [one.sessions for one in rows] == [5, 0, 10, 0]


@needs_shared_data
def test_json_and_the_code_tell_what_was_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(capacity, "_measure", machine_that_holds(5, []))
    assert capacity.main(["--settings", "2x4", "--json"]) == 1
    sandbox, identification = json.loads(capsys.readouterr().out)
    assert sandbox["setting"] == {"workers": 2, "pool_size": 4}
    assert (sandbox["sessions"], sandbox["steady"]["latency_ms"]["p95"]) == (10, 80.0)
    assert (identification["sessions"], identification["steady"]) == (0, None)


def test_without_clips_it_ends_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "shared_data_available", lambda: False)
    assert capacity.main([]) == 2

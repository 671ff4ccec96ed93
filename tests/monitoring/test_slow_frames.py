from __future__ import annotations

import logging

import pytest

from core.stages import Stage, StageTimes, current, timed
from logs.formats import FIGURES
from monitoring.slow_frames import LINE_INTERVAL_S, SlowFrames

TIMES = StageTimes({Stage.MESH: 0.25, Stage.SEARCH: 1.5})


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, object]]:
    return [record.__dict__[FIGURES] for record in caplog.records]


def test_a_slow_frame_is_told_with_its_stages_and_a_fast_one_is_not(caplog: pytest.LogCaptureFixture) -> None:
    slow_frames = SlowFrames(1_000)
    slow_frames.look(0.999, TIMES)
    slow_frames.look(1.8, TIMES)
    assert told(caplog) == [{"frame_ms": 1800, "stages_ms": {"mesh": 250, "search": 1500}, "slow_frames": 1}]


def test_many_are_one_line_which_counts_them(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    slow_frames = SlowFrames(1_000, lambda: now)
    for _ in range(100):
        slow_frames.look(2.0, TIMES)
    now += LINE_INTERVAL_S
    slow_frames.look(2.0, TIMES)
    assert [figures["slow_frames"] for figures in told(caplog)] == [1, 100]


def test_none_is_told_where_nobody_wants_it(caplog: pytest.LogCaptureFixture) -> None:
    SlowFrames(0).look(60.0, TIMES)
    assert caplog.records == []


def test_times_of_a_stage_add_up_also_when_it_fails() -> None:
    times = StageTimes()
    token = current.set(times)
    try:
        for _ in range(2):
            with pytest.raises(ValueError, match="no face"), timed(Stage.MESH):
                raise ValueError("no face")
        with timed(Stage.DECODE):
            pass
    finally:
        current.reset(token)
    with timed(Stage.SPOOF):  # Nobody wants to know.
        pass
    assert times.seconds.keys() == {Stage.MESH, Stage.DECODE}


def test_times_are_logged_at_warning(caplog: pytest.LogCaptureFixture) -> None:
    SlowFrames(1).look(1.0, TIMES)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]

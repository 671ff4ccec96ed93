"""Three frames a second are the least; one pause is no slow connection."""

from __future__ import annotations

import pytest

from core.liveness.limits import PACE_KNOWN_MS
from core.liveness.pace import Pace


def paced(*times_ms: int) -> Pace:
    pace = Pace()
    for at_ms in times_ms:
        pace.observe(at_ms)
    return pace


@pytest.mark.parametrize(("gap_ms", "slow"), [(100, False), (333, False), (400, True), (1_000, True), (4_000, True)])
def test_fewer_than_three_frames_a_second_are_too_few(gap_ms: int, slow: bool) -> None:
    pace = paced(*range(0, 10_000, gap_ms))
    assert (pace.too_slow, pace.is_slow_now) == (slow, slow)


def test_nothing_is_known_before_frames_came_for_a_while() -> None:
    assert not paced().too_slow
    assert not paced(0).too_slow
    assert not paced(*range(0, PACE_KNOWN_MS, 1_000)).too_slow


def test_a_pause_is_forgiven_and_a_stream_that_stalls_most_of_the_time_is_not() -> None:
    paused = paced(*range(0, 6_000, 100), *range(11_000, 12_000, 100))
    assert (paused.too_slow, paused.is_slow_now) == (False, False)
    assert not paced(*range(0, 2_000, 100), 7_000).is_slow_now
    stalling = paced(*range(0, 5_000, 100), *range(5_000, 20_000, 1_000))
    assert (stalling.too_slow, stalling.is_slow_now) == (True, True)


@pytest.mark.parametrize(("late_ms", "slow"), [(0, False), (300, False), (700, True), (None, True)])
def test_what_the_service_took_is_not_the_senders(late_ms: int | None, slow: bool) -> None:
    pace = Pace()
    for at_ms in range(0, 10_000, 1_000):
        pace.observe(at_ms, late_ms)
    assert (pace.too_slow, pace.is_slow_now) == (slow, slow)
    assert not pace.allows(10)

"""Pacing: the frame rate asked of clients follows the measured capacity."""

from __future__ import annotations

import pytest

from scheduling.pacing import ACTIVE_S, Pacer
from tests.scheduling.clock import ManualClock


def pacer(service_s: float, threads: int = 1, clock: ManualClock | None = None) -> Pacer:
    made = Pacer(threads, clock or ManualClock())
    for _ in range(500):
        made.served(service_s)
    return made


def asked_of(paced: Pacer, sessions: int, at_most: int = 60) -> int:
    for session in range(sessions):
        paced.heard_from(session)
    return paced.target_fps(at_most)


def test_a_single_session_is_asked_for_the_full_rate() -> None:
    assert pacer(0.02).target_fps(10) == 10
    assert asked_of(pacer(0.02), 1, at_most=10) == 10


def test_the_rate_asked_of_each_session_falls_with_their_number() -> None:
    asked = [asked_of(pacer(0.02), sessions) for sessions in (1, 5, 10, 20)]
    assert asked == [42, 8, 4, 2]


def test_the_rate_halves_with_half_the_threads_or_twice_the_service_time() -> None:
    assert asked_of(pacer(0.01), 10) == asked_of(pacer(0.02, threads=2), 10) == 2 * asked_of(pacer(0.02), 10)


def test_every_session_is_asked_for_at_least_one_frame_a_second() -> None:
    assert asked_of(pacer(1.0), 50) == 1


def test_a_session_that_stops_sending_counts_no_more() -> None:
    clock = ManualClock()
    paced = pacer(0.05, clock=clock)
    assert asked_of(paced, 10) == 1
    for _ in range(3):
        clock.pass_(ACTIVE_S)
        asked = asked_of(paced, 1, at_most=10)
    assert asked == 10


def test_an_expected_wait_is_the_work_ahead_over_the_threads() -> None:
    assert pacer(0.02, threads=2).wait_s(10) == pytest.approx(0.1, rel=0.01)


def test_statistics_have_the_mean_service_time_and_the_active_sessions() -> None:
    paced = pacer(0.02)
    asked_of(paced, 3)
    assert paced.statistics().service_s == pytest.approx(0.02)
    assert paced.statistics().active == 3

"""A challenge is drawn at random and must be done in order, from the neutral pose, in time."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import permutations

import pytest

from core.face_recognition_engine import FaceRecognitionEngine
from core.liveness.challenge import CHALLENGE_STEPS, STEP_WINDOW_MS, Action, Challenge
from core.liveness.observation import FaceReading
from tests.core.liveness.readings import CLOSED, LEFT, OPEN, RIGHT, readings_of, timed
from tools.expressions import Action as Performed
from tools.portrait import Portrait, perform

NEUTRAL = [OPEN] * 4
BLINK = [OPEN] * 3 + [CLOSED, CLOSED, OPEN]
DONE = {
    Action.BLINK: BLINK,
    Action.TURN_LEFT: [OPEN, LEFT, LEFT, OPEN],
    Action.TURN_RIGHT: [OPEN, RIGHT, RIGHT, OPEN],
}
PAIRS = list(permutations(Action, CHALLENGE_STEPS))


def shown(actions: tuple[Action, ...], readings: list[FaceReading]) -> Challenge:
    challenge = Challenge("c", list(actions))
    for reading in readings:
        challenge.observe(reading)
    return challenge


def turned(readings: list[FaceReading], yaw: float) -> list[FaceReading]:
    return [replace(reading, yaw=reading.yaw + yaw) for reading in readings]


def test_every_ordered_pair_of_actions_is_drawn_about_as_often() -> None:
    source = random.Random(1)
    drawn = Counter(tuple(Challenge.draw("c", source).actions) for _ in range(6_000))
    assert set(drawn) == set(PAIRS)
    assert all(850 < count < 1_150 for count in drawn.values())


def test_what_is_drawn_depends_on_the_source() -> None:
    draws = [[Challenge.draw("c", random.Random(seed)).actions for seed in range(20)] for _ in range(2)]
    assert draws[0] == draws[1]
    assert len({tuple(actions) for actions in draws[0]}) > 1
    assert Challenge.draw("the-id", random.Random(0)).id == "the-id"


@pytest.mark.parametrize("actions", PAIRS)
def test_what_was_asked_in_the_order_it_was_asked_passes(actions: tuple[Action, ...]) -> None:
    challenge = shown(actions, timed([*NEUTRAL, *DONE[actions[0]], *DONE[actions[1]]]))
    assert challenge.passed
    assert challenge.current is None
    assert challenge.done == 2


@pytest.mark.parametrize("actions", PAIRS)
def test_the_other_order_does_not(actions: tuple[Action, ...]) -> None:
    challenge = shown(actions, timed([*NEUTRAL, *DONE[actions[1]], *DONE[actions[0]]]))
    assert not challenge.passed
    assert (challenge.done, challenge.current) == (1, actions[1])


@pytest.mark.parametrize(("asked", "shown_instead"), [p for p in PAIRS if Action.BLINK not in p])
def test_a_turn_to_the_wrong_side_does_not_count(asked: Action, shown_instead: Action) -> None:
    assert shown((asked, Action.BLINK), timed([*NEUTRAL, *DONE[shown_instead]])).done == 0


def test_nothing_done_does_not_pass() -> None:
    for actions in PAIRS:
        assert shown(actions, timed([OPEN] * 60)).done == 0


@pytest.mark.parametrize("yaw", [20.0, 40.0])
def test_starting_turned_away_does_not_count(yaw: float) -> None:
    away = replace(OPEN, yaw=yaw)
    assert shown((Action.TURN_LEFT, Action.BLINK), timed([away] * 50)).done == 0


def test_a_turn_counts_from_this_persons_own_neutral() -> None:
    askew = turned([OPEN] * 30, 12.0)
    assert shown((Action.TURN_LEFT, Action.BLINK), timed(askew)).done == 0
    assert shown((Action.TURN_LEFT, Action.BLINK), timed([*askew, replace(OPEN, yaw=23.0)])).done == 0
    assert shown((Action.TURN_LEFT, Action.BLINK), timed([*askew, replace(OPEN, yaw=24.5)])).done == 1


def test_each_turn_begins_at_the_neutral_pose() -> None:
    both = (Action.TURN_LEFT, Action.TURN_RIGHT)
    assert shown(both, timed([*NEUTRAL, LEFT, RIGHT, RIGHT])).done == 1
    assert shown(both, timed([*NEUTRAL, LEFT, OPEN, RIGHT])).done == 2


def test_small_movements_of_a_talking_head_are_no_turn() -> None:
    swaying = [replace(OPEN, yaw=yaw) for yaw in (0.0, 6.0, 11.0, -6.0, -11.0) * 10]
    for action in (Action.TURN_LEFT, Action.TURN_RIGHT):
        assert shown((action, Action.BLINK), timed([*NEUTRAL, *swaying])).done == 0


def test_a_blink_before_it_was_asked_for_does_not_count() -> None:
    challenge = shown((Action.TURN_LEFT, Action.BLINK), timed([*NEUTRAL, *BLINK, OPEN, LEFT, OPEN, OPEN]))
    assert (challenge.done, challenge.passed) == (1, False)


def test_a_step_has_its_time_and_no_more() -> None:
    challenge = shown((Action.TURN_LEFT, Action.BLINK), timed(NEUTRAL))
    challenge.observe(replace(OPEN, at_ms=300 + STEP_WINDOW_MS))
    assert not challenge.timed_out
    challenge.observe(replace(OPEN, at_ms=301 + STEP_WINDOW_MS))
    assert challenge.timed_out
    for reading in timed([LEFT, OPEN, *BLINK], begin_ms=302 + STEP_WINDOW_MS):
        challenge.observe(reading)
    assert (challenge.done, challenge.passed) == (0, False)


def test_each_step_has_a_time_of_its_own() -> None:
    late = STEP_WINDOW_MS - 1_000
    readings = timed(NEUTRAL) + timed([OPEN, LEFT, OPEN], begin_ms=late) + timed(BLINK, begin_ms=2 * late)
    assert shown((Action.TURN_LEFT, Action.BLINK), readings).passed


def test_time_does_not_run_before_the_person_is_known() -> None:
    challenge = shown((Action.TURN_LEFT, Action.BLINK), timed([replace(OPEN, yaw=40.0)] * 20, step_ms=2_000))
    assert not challenge.timed_out


def test_a_completed_challenge_does_not_time_out() -> None:
    challenge = shown((Action.TURN_LEFT, Action.BLINK), timed([*NEUTRAL, LEFT, *BLINK]))
    challenge.observe(replace(OPEN, at_ms=10 * STEP_WINDOW_MS))
    assert challenge.passed


def test_a_lost_face_takes_back_what_was_begun_and_keeps_what_was_done() -> None:
    challenge = shown((Action.TURN_LEFT, Action.TURN_RIGHT), timed([*NEUTRAL, LEFT, OPEN]))
    challenge.interrupt()
    assert challenge.done == 1
    challenge.observe(replace(RIGHT, at_ms=1_000))
    assert challenge.done == 1
    for reading in timed([OPEN, RIGHT], begin_ms=1_100):
        challenge.observe(reading)
    assert challenge.passed


def test_a_face_changed_in_the_middle_of_a_blink_has_not_blinked() -> None:
    challenge = shown((Action.BLINK, Action.TURN_LEFT), timed([*NEUTRAL, *NEUTRAL, CLOSED]))
    challenge.interrupt()
    for reading in timed([OPEN] * 5, begin_ms=1_000):
        challenge.observe(reading)
    assert challenge.done == 0


@pytest.mark.parametrize("actions", [("blink", "turn_left"), ("turn_right", "blink")])
def test_a_real_face_can_do_it(
    engine: FaceRecognitionEngine, portrait: Portrait, actions: tuple[Performed, Performed]
) -> None:
    asked = (Action(actions[0]), Action(actions[1]))
    frames = [rgb for rgb, _ in perform(portrait, actions, fps=7)]
    readings = readings_of(frames, engine.detector, fps=7)
    assert shown(asked, readings).passed
    assert shown(asked[::-1], readings).done <= 1

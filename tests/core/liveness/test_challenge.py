"""A challenge is drawn at random and must be done in order, from the person's own neutral face, in time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain, islice, permutations

import numpy as np
import pytest

from core.face_recognition_engine import FaceRecognitionEngine
from core.liveness.actions import MOVEMENTS, NEWEST_VERSION, Neutral, known_by
from core.liveness.challenge import Challenge, TooFewActions
from core.liveness.limits import MISTAKE_READINGS, NEUTRAL_HELD, STEP_GRACE_MS, STEP_WINDOW_MS
from core.liveness.observation import FaceReading
from core.types import RgbImage
from testkit.attacks.stage.scene import Hold, Sheet, places
from testkit.attacks.stage.scene import shown as seen_of
from testkit.faces.expressions import Action as Performed
from testkit.faces.portrait import Portrait, perform
from tests.core.liveness.readings import (
    CLOSED,
    CLOSER,
    DOWN,
    LEFT,
    OPEN,
    RIGHT,
    SHOWN,
    SMILING,
    TALKING,
    done,
    readings_of,
    timed,
)
from vocabulary.faces import Action

NEUTRAL = [OPEN] * 4
STEP_TIME_MS = STEP_GRACE_MS + STEP_WINDOW_MS
OF_VERSION_1 = [Action.BLINK, Action.TURN_LEFT, Action.TURN_RIGHT]
NO_BLINK = sorted(MOVEMENTS - {Action.BLINK})


def shown(actions: Sequence[Action], readings: Iterable[FaceReading]) -> Challenge:
    challenge = Challenge("c", list(actions))
    for reading in readings:
        challenge.observe(reading)
    return challenge


def acted(actions: Sequence[Action], *readings: FaceReading) -> Challenge:
    return shown(actions, timed([*NEUTRAL, OPEN, *readings]))


def test_every_ordered_pair_of_the_allowed_actions_is_drawn_about_as_often() -> None:
    source = random.Random(1)
    drawn = Counter(tuple(Challenge.draw("c", 2, set(OF_VERSION_1), source).actions) for _ in range(6_000))
    assert set(drawn) == set(permutations(OF_VERSION_1, 2))
    assert all(850 < count < 1_150 for count in drawn.values())


@pytest.mark.parametrize("steps", [1, 3, 7])
def test_as_many_actions_are_drawn_as_asked_and_none_twice(steps: int) -> None:
    draws = [Challenge.draw("c", steps, set(MOVEMENTS), random.Random(seed)).actions for seed in range(50)]
    assert {len(actions) for actions in draws} == {steps}
    assert {len(set(actions)) for actions in draws} == {steps}
    assert set(chain(*draws)) == MOVEMENTS


def test_what_is_drawn_depends_on_the_source_alone() -> None:
    draws = [[Challenge.draw("c", 2, set(MOVEMENTS), random.Random(s)).actions for s in range(20)] for _ in range(2)]
    assert draws[0] == draws[1]
    assert len({tuple(actions) for actions in draws[0]}) > 10
    assert Challenge.draw("the-id", 1, set(MOVEMENTS), random.Random(0)).id == "the-id"


def test_fewer_allowed_actions_than_steps_are_refused() -> None:
    with pytest.raises(TooFewActions, match="3 steps of 2 actions"):
        Challenge.draw("c", 3, {Action.BLINK, Action.NOD}, random.Random(0))


def test_every_version_of_the_challenge_knows_what_the_one_before_knew() -> None:
    assert known_by(1) == frozenset(OF_VERSION_1)
    assert known_by(2) == MOVEMENTS
    assert known_by(NEWEST_VERSION) == known_by(NEWEST_VERSION + 5) == frozenset(Action)


@pytest.mark.parametrize("action", sorted(MOVEMENTS))
def test_each_action_done_from_neutral_counts(action: Action) -> None:
    assert shown([action], timed(NEUTRAL + done(action))).passed


@pytest.mark.parametrize("action", sorted(MOVEMENTS))
def test_each_action_that_has_begun_before_does_not_count(action: Action) -> None:
    held = shown([action], timed([*NEUTRAL[:3], *[SHOWN[action]] * 40]))
    always = shown([action], timed([SHOWN[action]] * 40))
    assert (held.done, always.done) == (0, 0)


@pytest.mark.parametrize("asked", sorted(MOVEMENTS))
def test_no_action_counts_as_another(asked: Action) -> None:
    for other in MOVEMENTS - {asked}:
        assert shown([asked], timed(NEUTRAL + done(other))).done == 0, other


@pytest.mark.parametrize(
    ("action", "almost"),
    [
        (Action.TURN_LEFT, replace(OPEN, yaw=11.9)),
        (Action.TURN_RIGHT, replace(OPEN, yaw=-11.9)),
        (Action.NOD, replace(OPEN, pitch=-8.9)),
        (Action.SMILE, replace(SMILING, smile=0.34)),
        (Action.SMILE, replace(SMILING, mouth_width=0.82)),
        (Action.OPEN_MOUTH, replace(OPEN, mouth_opening=0.26)),
        (Action.MOVE_CLOSER, replace(OPEN, size=0.143)),
    ],
)
def test_less_than_the_whole_action_does_not_count(action: Action, almost: FaceReading) -> None:
    assert acted([action], *[almost] * 3, OPEN).done == 0


@pytest.mark.parametrize("action", NO_BLINK)
def test_an_action_counts_against_this_persons_own_neutral_face(action: Action) -> None:
    """Who stands askew, grins and is near all the time has to do as much as anybody."""
    shift = {"yaw": 8.0, "pitch": 7.0, "smile": 0.5, "mouth_width": 0.1, "mouth_opening": 0.2}

    def askew(reading: FaceReading) -> FaceReading:
        changes = {name: getattr(reading, name) + by for name, by in shift.items()}
        return replace(reading, **changes, size=1.5 * reading.size)

    assert shown([action], timed(map(askew, NEUTRAL * 5))).done == 0
    assert shown([action], timed(map(askew, NEUTRAL + done(action)))).passed


def test_a_nod_is_complete_when_the_head_comes_up_again() -> None:
    down = acted([Action.NOD], DOWN, DOWN, DOWN)
    assert down.done == 0
    down.observe(replace(OPEN, pitch=-4.0, at_ms=1_000))
    assert down.passed


@pytest.mark.parametrize("asked", list(permutations([*OF_VERSION_1, Action.NOD], 3)))
def test_three_steps_pass_in_their_order_and_in_no_other(asked: tuple[Action, ...]) -> None:
    in_order = shown(asked, timed(NEUTRAL + done(*asked)))
    assert (in_order.passed, in_order.current, in_order.done, in_order.mistakes) == (True, None, 3, 0)
    for order in set(permutations(asked)) - {asked}:
        challenge = shown(asked, timed(NEUTRAL + done(*order) + [OPEN] * (STEP_TIME_MS // 100 + 2)))
        assert challenge.failure in ("wrong_action", "liveness_timeout"), order


@pytest.mark.parametrize(("steps", "lucky"), [(2, 0.12), (3, 0.04)])
def test_one_who_does_everything_round_and_round_does_the_wrong_thing(steps: int, lucky: float) -> None:
    """Only chance helps: when the first two actions shown, or two of three, happen to be the ones asked for."""
    everything = timed(NEUTRAL + done(*SHOWN) * 3)
    ended = Counter(shown(asked, everything).failure for asked in permutations(Action, steps))
    assert set(ended) <= {None, "wrong_action"}
    assert ended[None] / ended.total() <= lucky


def test_one_mistake_is_forgiven_and_the_second_is_not() -> None:
    asked = [Action.TURN_LEFT, Action.SMILE]
    assert shown(asked, timed(NEUTRAL + done(Action.NOD, Action.TURN_LEFT, Action.SMILE))).passed
    for order in permutations([Action.NOD, Action.TURN_LEFT, Action.MOVE_CLOSER]):
        challenge = shown(asked, timed(NEUTRAL + done(*order) + done(Action.TURN_LEFT, Action.SMILE)))
        assert (challenge.failure, challenge.passed) == ("wrong_action", False)


def test_one_stray_reading_is_no_mistake() -> None:
    assert MISTAKE_READINGS == 2
    assert acted([Action.NOD], *[OPEN, OPEN, TALKING] * 9).mistakes == 0


@pytest.mark.parametrize("asked", NO_BLINK)
def test_a_blink_is_nobodys_mistake(asked: Action) -> None:
    challenge = shown([asked], timed(NEUTRAL + done(*[Action.BLINK] * 4, asked)))
    assert (challenge.passed, challenge.mistakes) == (True, 0)


def test_anything_but_a_blink_is_a_mistake_where_a_blink_is_asked_for() -> None:
    assert shown([Action.BLINK], timed(NEUTRAL + done(Action.TURN_LEFT, Action.SMILE))).failure == "wrong_action"


def _just_done(action: Action) -> list[FaceReading]:
    """Up to the reading that completes it."""
    return [OPEN, OPEN, SHOWN[action], SHOWN[action]]


@pytest.mark.parametrize("flashed", NO_BLINK)
def test_what_is_done_as_soon_as_a_step_is_told_does_not_count(flashed: Action) -> None:
    first = Action.OPEN_MOUTH if flashed is not Action.OPEN_MOUTH else Action.SMILE
    for rested in range(NEUTRAL_HELD):
        at_once = [*_just_done(first), *[OPEN] * rested, SHOWN[flashed], SHOWN[flashed], OPEN]
        assert shown([first, flashed], timed(NEUTRAL + at_once)).done == 1
    later = [*_just_done(first), *[OPEN] * NEUTRAL_HELD, SHOWN[flashed], SHOWN[flashed], OPEN]
    assert shown([first, flashed], timed(NEUTRAL + later)).done == 2


def test_each_turn_begins_at_the_neutral_pose() -> None:
    both = [Action.TURN_LEFT, Action.TURN_RIGHT]
    assert acted(both, LEFT, LEFT, RIGHT, RIGHT).done == 1
    assert acted(both, LEFT, LEFT, OPEN, OPEN, RIGHT, RIGHT).passed


def test_small_movements_of_a_talking_head_are_no_action() -> None:
    swaying = [replace(OPEN, yaw=yaw, pitch=yaw / 2, mouth_opening=0.2) for yaw in (0.0, 6.0, 11.0, -6.0, -11.0) * 10]
    for action in NO_BLINK:
        challenge = acted([action], *swaying)
        assert (challenge.done, challenge.mistakes) == (0, 0)


def test_a_blink_before_it_was_asked_for_does_not_count() -> None:
    early = NEUTRAL + done(Action.BLINK, Action.TURN_LEFT) + [OPEN] * 4
    assert shown([Action.TURN_LEFT, Action.BLINK], timed(early)).done == 1


def test_a_step_has_its_time_and_no_more() -> None:
    challenge = shown([Action.TURN_LEFT, Action.BLINK], timed(NEUTRAL))
    challenge.observe(replace(OPEN, at_ms=300 + STEP_TIME_MS))
    assert challenge.failure is None
    challenge.observe(replace(OPEN, at_ms=301 + STEP_TIME_MS))
    assert challenge.failure == "liveness_timeout"
    for reading in timed(done(Action.TURN_LEFT, Action.BLINK), begin_ms=302 + STEP_TIME_MS):
        challenge.observe(reading)
    assert (challenge.done, challenge.passed) == (0, False)


def test_the_time_left_for_a_step_is_told_and_runs_from_when_it_is_judged() -> None:
    challenge = shown([Action.TURN_LEFT], timed(NEUTRAL[:3]))
    assert challenge.step_remaining_ms(200) is None
    challenge.observe(replace(OPEN, at_ms=300))
    left = [challenge.step_remaining_ms(at_ms) for at_ms in (300, 300 + STEP_GRACE_MS, 1_300 + STEP_GRACE_MS, 99_000)]
    assert left == [STEP_WINDOW_MS, STEP_WINDOW_MS, STEP_WINDOW_MS - 1_000, 0]
    for reading in timed(done(Action.TURN_LEFT), begin_ms=1_000):
        challenge.observe(reading)
    assert challenge.step_remaining_ms(2_000) is None


@pytest.mark.parametrize("wrong", sorted(set(NO_BLINK) - {Action.NOD}))
def test_what_comes_before_the_new_step_was_read_is_no_mistake(wrong: Action) -> None:
    begun = [*_just_done(Action.NOD), OPEN, OPEN, OPEN]
    early = timed([*NEUTRAL, *begun, SHOWN[wrong], SHOWN[wrong], OPEN], step_ms=80)
    late = timed([*NEUTRAL, *begun, *[OPEN] * 10, SHOWN[wrong], SHOWN[wrong], OPEN], step_ms=80)
    asked = [Action.NOD, Action.BLINK]
    assert (shown(asked, early).done, shown(asked, early).mistakes, shown(asked, late).mistakes) == (1, 0, 1)


def test_each_step_has_a_time_of_its_own() -> None:
    late = STEP_WINDOW_MS - 1_000
    actions = [Action.TURN_LEFT, Action.BLINK, Action.NOD]
    spread = chain(*(timed(done(action), begin_ms=(1 + at) * late) for at, action in enumerate(actions)))
    assert shown(actions, chain(timed(NEUTRAL), spread)).passed


def test_time_does_not_run_before_the_person_is_known() -> None:
    assert shown([Action.TURN_LEFT], timed([replace(OPEN, yaw=40.0)] * 20, step_ms=2_000)).failure is None


def test_a_completed_challenge_does_not_fail_any_more() -> None:
    challenge = shown([Action.TURN_LEFT], timed(NEUTRAL + done(Action.TURN_LEFT, Action.NOD, Action.SMILE)))
    challenge.observe(replace(OPEN, at_ms=10 * STEP_WINDOW_MS))
    assert challenge.passed


def test_a_lost_face_takes_back_what_was_begun_and_keeps_what_was_done() -> None:
    challenge = shown([Action.TURN_LEFT, Action.TURN_RIGHT], timed(NEUTRAL + done(Action.TURN_LEFT)))
    challenge.interrupt()
    challenge.observe(replace(RIGHT, at_ms=2_000))
    assert challenge.done == 1
    for reading in timed(done(Action.TURN_RIGHT), begin_ms=2_100):
        challenge.observe(reading)
    assert challenge.passed


@pytest.mark.parametrize(("action", "half"), [(Action.BLINK, CLOSED), (Action.NOD, DOWN)])
def test_a_face_lost_in_the_middle_of_an_action_has_not_done_it(action: Action, half: FaceReading) -> None:
    challenge = acted([action], OPEN, OPEN, OPEN, half)
    challenge.interrupt()
    for reading in timed([OPEN] * 5, begin_ms=1_000):
        challenge.observe(reading)
    assert challenge.done == 0


def test_a_lost_face_does_not_take_back_a_mistake() -> None:
    challenge = shown([Action.TURN_LEFT], timed(NEUTRAL + done(Action.NOD)))
    challenge.interrupt()
    for reading in timed(done(Action.NOD), begin_ms=2_000):
        challenge.observe(reading)
    assert challenge.failure == "wrong_action"


def test_a_video_of_single_frames_of_everything_does_not_pass_every_challenge() -> None:
    flashes = timed(NEUTRAL + [reading for action in NO_BLINK for reading in (OPEN, OPEN, SHOWN[action])] * 4)
    passed = [asked for asked in permutations(NO_BLINK, 2) if shown(asked, flashes).passed]
    assert len(passed) / len(list(permutations(NO_BLINK, 2))) < 0.15


def test_a_face_that_does_everything_at_once_does_not_do_what_was_asked() -> None:
    at_once = replace(LEFT, pitch=-16.0, mouth_opening=0.4, smile=0.6, mouth_width=0.88, size=CLOSER.size)
    everything = timed(NEUTRAL + [OPEN, OPEN, OPEN, at_once, at_once, at_once] * 4)
    for asked in permutations([Action.TURN_LEFT, Action.OPEN_MOUTH, Action.MOVE_CLOSER], 2):
        assert not shown(asked, everything).passed, asked


def test_a_video_of_everything_in_three_pairs_does_not_pass() -> None:
    pairs = (
        replace(LEFT, mouth_opening=0.35),
        replace(RIGHT, smile=0.6, mouth_width=0.88),
        replace(DOWN, size=CLOSER.size),
    )
    video = [reading for both in pairs for reading in [OPEN] * 3 + [both] * 3]
    looped = timed(NEUTRAL + video * 4 + [OPEN])
    assert not any(shown(actions, looped).passed for actions in permutations(NO_BLINK, 2))


def test_a_smile_with_an_open_mouth_counts_for_either() -> None:
    laughing = replace(SMILING, mouth_opening=0.35)
    for action in (Action.SMILE, Action.OPEN_MOUTH):
        assert acted([action], laughing, laughing).passed


def test_neutral_is_the_median_of_the_first_readings() -> None:
    neutral = Neutral.of([OPEN, replace(OPEN, yaw=2.0), replace(OPEN, yaw=30.0)])
    assert neutral.yaw == 2.0


ALL: list[Performed] = ["blink", "turn_left", "nod", "open_mouth", "turn_right", "smile"]


@pytest.fixture(scope="module")
def performance(engine: FaceRecognitionEngine, portrait: Portrait) -> list[FaceReading]:
    return readings_of([rgb for rgb, _ in perform(portrait, ALL, fps=8)], engine.detector, fps=8)


def test_a_real_face_can_do_everything(performance: list[FaceReading]) -> None:
    challenge = shown([Action(action) for action in ALL], performance)
    assert (challenge.passed, challenge.mistakes) == (True, 0)


@pytest.mark.parametrize("asked", list(islice(permutations(NO_BLINK[:5], 3), 0, 60, 7)))
def test_a_real_face_that_does_something_else_fails(performance: list[FaceReading], asked: tuple[Action, ...]) -> None:
    in_order = [Action(action) for action in ALL if Action(action) in asked]
    challenge = shown(asked, performance)
    assert not challenge.passed or list(asked) == in_order


@pytest.fixture(scope="module")
def held_in_hand(hopper_rgb: RgbImage, engine: FaceRecognitionEngine) -> list[FaceReading]:
    """A photograph that is turned to both sides, up to 40 degrees, and tilted both ways, from rest each time."""
    there_and_back = np.concatenate([np.zeros(6), np.linspace(0, 40, 8), np.full(3, 40.0), np.linspace(40, 0, 4)])
    holds = [Hold(yaw=sign * float(deg)) for sign in (1, -1) for deg in there_and_back]
    holds += [Hold(pitch=sign * float(deg) * 0.75) for sign in (1, -1) for deg in there_and_back]
    sheet = Sheet(hopper_rgb.astype(np.float32), np.ones(hopper_rgb.shape[:2], np.float32), 300.0, 250.0, 1.1)
    return readings_of([held(sheet, hold) for hold in holds], engine.detector, fps=10)


def held(sheet: Sheet, hold: Hold) -> RgbImage:
    image, cover = seen_of(sheet, places(hold, sheet))
    return np.asarray(128 + (image - 128) * cover, np.uint8)


@pytest.mark.parametrize("action", [Action.TURN_LEFT, Action.TURN_RIGHT, Action.NOD])
def test_a_photograph_that_is_turned_and_tilted_does_not_turn_and_nod(
    held_in_hand: list[FaceReading], action: Action
) -> None:
    """A plane does not move as a head does: the rigid fit hardly follows it."""
    assert np.ptp([reading.yaw for reading in held_in_hand]) > 3
    challenge = shown([action], held_in_hand)
    assert challenge.step_began_ms is not None
    assert (challenge.done, challenge.failure) == (0, None)

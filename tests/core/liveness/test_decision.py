"""No order of readings passes without every piece of evidence, and a verdict of failure is final."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.features.values import FrameSamples
from core.liveness import limits
from core.liveness.challenge import Challenge
from core.liveness.continuity import FrameFingerprint
from core.liveness.decision import Liveness, Verdict
from core.liveness.evidence import Evidence
from core.liveness.observation import FaceReading
from core.liveness.policy import Policy
from core.types import Box
from tests.core.liveness.readings import CLOSED, LEFT, OPEN, RIGHT, SHOWN, TALKING, done, lively, timed
from tests.core.liveness.scenes import living, photographed
from vocabulary.faces import Action

LONG = 60
"""Readings that are enough for every cue."""
ASKING = [Policy.PASSIVE, Policy.ACTIVE, Policy.STRICT]
Scene = Callable[[int], FrameSamples]


def begun(policy: Policy, seed: int = 0) -> Liveness:
    return Liveness.begin(policy, "challenge", random.Random(seed))


def told(liveness: Liveness, readings: Sequence[FaceReading], scene: Scene = living) -> Liveness:
    for number, reading in enumerate(readings):
        liveness.observe(reading, scene(number))
    return liveness


def asked(policy: Policy, *actions: Action) -> Liveness:
    return Liveness(policy, Challenge("challenge", list(actions)))


def test_nothing_is_asked_by_the_policy_that_asks_nothing() -> None:
    liveness = told(begun(Policy.NONE), [replace(reading, live_score=0.0) for reading in lively(10)])
    assert liveness.verdict is Verdict.NOT_REQUIRED
    assert (liveness.challenge, liveness.instruction, liveness.failure) == (None, None, None)


def test_a_living_person_who_speaks_passes_passively_and_no_sooner_than_a_loop_would_show() -> None:
    liveness = begun(Policy.PASSIVE)
    told(liveness, lively(limits.OBSERVED_READINGS - 1))
    assert (liveness.verdict, liveness.instruction) == (Verdict.PENDING, "hold_still")
    assert told(begun(Policy.PASSIVE), lively(LONG)).verdict is Verdict.PASSED


def test_a_silence_is_not_watching() -> None:
    first, *others = lively(limits.OBSERVED_READINGS // 2)
    late = [replace(reading, at_ms=reading.at_ms + limits.OBSERVED_MS) for reading in others]
    liveness = told(begun(Policy.PASSIVE), [first, *late])
    assert not liveness.watched
    assert liveness.observed_ms < limits.OBSERVED_MS


def test_a_grid_speaks_against_whoever_may_not_speak_for_anybody() -> None:
    liveness = begun(Policy.PASSIVE)
    for number in range(limits.MIN_MOIRES_TO_REFUSE):
        liveness.suspect(replace(OPEN, at_ms=number, live_score=0.9, moire=limits.MOIRE))
    assert liveness.failure == "spoof_suspected"
    assert not liveness.spoof.scores


def test_a_quiet_person_who_blinks_again_and_again_passes() -> None:
    readings = lively(LONG, speaks=False)
    for at in (20, 40):
        readings[at : at + 2] = [replace(r, blink=0.6, eye_opening=0.1) for r in readings[at : at + 2]]
    assert told(begun(Policy.PASSIVE), readings).verdict is Verdict.PASSED


def test_a_photograph_that_seems_to_blink_and_speak_does_not_pass() -> None:
    liveness = told(begun(Policy.PASSIVE), lively(LONG), photographed)
    assert (liveness.verdict, liveness.instruction) == (Verdict.PENDING, "smile")


def test_a_still_face_does_not_pass_however_live_it_looks() -> None:
    liveness = told(begun(Policy.PASSIVE), lively(LONG, speaks=False))
    assert (liveness.verdict, liveness.instruction) == (Verdict.PENDING, "blink")
    assert (liveness.steps_done, liveness.steps_total) == (0, 1)


def test_what_does_not_move_at_all_is_frozen() -> None:
    liveness = told(begun(Policy.PASSIVE), timed([OPEN] * 30))
    assert (liveness.verdict, liveness.failure) == (Verdict.FAILED, "stream_frozen")


def test_what_moves_as_before_is_repeated() -> None:
    once = lively(15)
    liveness = told(begun(Policy.PASSIVE), timed([*once, *once]))
    assert (liveness.verdict, liveness.failure) == (Verdict.FAILED, "stream_repeated")


@pytest.mark.parametrize("policy", ASKING)
def test_a_face_that_looks_presented_fails_whatever_it_does(policy: Policy) -> None:
    liveness = told(begun(policy), [replace(reading, live_score=0.1) for reading in lively(LONG)])
    assert (liveness.verdict, liveness.failure, liveness.instruction) == (Verdict.FAILED, "spoof_suspected", None)


@pytest.mark.parametrize("policy", [Policy.PASSIVE, Policy.STRICT])
def test_the_grid_of_a_display_fails(policy: Policy) -> None:
    liveness = told(begun(policy), [replace(reading, moire=limits.MOIRE + 1) for reading in lively(LONG)])
    assert (liveness.verdict, liveness.failure) == (Verdict.FAILED, "spoof_suspected")


def test_an_active_challenge_and_scores_pass_together() -> None:
    liveness = asked(Policy.ACTIVE, Action.TURN_LEFT, Action.BLINK)
    assert (liveness.instruction, liveness.steps_total) == ("turn_left", 2)
    halfway = told(liveness, timed([OPEN] * 6 + [LEFT] * 2))
    assert (halfway.instruction, halfway.steps_done, halfway.verdict) == ("blink", 1, Verdict.PENDING)
    complete = told(liveness, timed([OPEN] * 6 + [CLOSED] * 2 + [OPEN] * 2, begin_ms=1_000))
    assert (complete.instruction, complete.steps_done, complete.verdict) == (None, 2, Verdict.PASSED)


def test_strict_wants_living_skin_besides_the_challenge() -> None:
    performed = timed([*lively(30, speaks=False), LEFT, LEFT, *lively(30, 1, speaks=False)])
    assert told(asked(Policy.STRICT, Action.TURN_LEFT), performed).verdict is Verdict.PASSED
    photograph = told(asked(Policy.STRICT, Action.TURN_LEFT), performed, photographed)
    assert (photograph.acted, photograph.verdict) == (True, Verdict.PENDING)


def test_strict_asks_who_shows_no_shoulders_to_move_back() -> None:
    """What could not be looked at did not pass: else a portrait would only have to be cut below the chin."""
    near = Box(0.25, 0.2, 0.5, 0.75)
    performed = [
        replace(reading, box=near)
        for reading in timed([*lively(30, speaks=False), LEFT, LEFT, *lively(30, 1, speaks=False)])
    ]
    liveness = told(asked(Policy.STRICT, Action.TURN_LEFT), performed)
    assert liveness.body.motion is None
    assert (liveness.acted, liveness.verdict, liveness.instruction) == (True, Verdict.PENDING, "move_back")


def test_natural_behaviour_does_not_replace_the_challenge() -> None:
    liveness = told(asked(Policy.ACTIVE, Action.TURN_LEFT, Action.TURN_RIGHT), lively(20, speaks=False))
    assert (liveness.verdict, liveness.steps_done) == (Verdict.PENDING, 0)


def test_a_challenge_that_times_out_fails() -> None:
    liveness = told(asked(Policy.ACTIVE, Action.TURN_LEFT, Action.BLINK), timed([OPEN] * 5))
    liveness.observe(replace(OPEN, at_ms=2 * limits.STEP_WINDOW_MS), living(0))
    assert (liveness.verdict, liveness.failure) == (Verdict.FAILED, "liveness_timeout")


def test_each_session_draws_its_own_challenge() -> None:
    drawn = [begun(Policy.STRICT, seed).challenge for seed in range(300)]
    assert len({tuple(challenge.actions) for challenge in drawn if challenge is not None}) > 100
    assert begun(Policy.PASSIVE).challenge is None


def test_a_frame_of_another_shape_ends_the_session() -> None:
    liveness = begun(Policy.PASSIVE)
    liveness.check_continuity(FrameFingerprint(0, "a", (640, 480), True))
    liveness.check_continuity(FrameFingerprint(100, "b", (640, 360), True))
    assert (liveness.verdict, liveness.failure) == (Verdict.FAILED, "camera_changed")


@pytest.mark.parametrize("policy", ASKING)
def test_progress_rises_in_steps_and_is_whole_only_when_liveness_passed(policy: Policy) -> None:
    liveness = begun(policy)
    seen = []
    for at, reading in enumerate(lively(LONG)):
        liveness.check_continuity(FrameFingerprint(reading.at_ms, str(at), (640, 480), True))
        told(liveness, [reading])
        if at == LONG // 2:
            liveness.interrupt()
        seen.append(liveness.reached)
    assert seen == sorted(seen)
    assert 0 <= seen[0] < 0.5 <= seen[-1]
    assert (seen[-1] == 1) == (liveness.verdict is Verdict.PASSED)
    assert {round(10 * share) / 10 for share in seen} == set(seen)


def test_a_turned_phone_begins_again_and_takes_back_neither_progress_nor_doubts() -> None:
    liveness = told(begun(Policy.PASSIVE), lively(LONG))
    liveness.check_continuity(FrameFingerprint(10_000, "a", (640, 480), True))
    assert liveness.verdict is Verdict.PASSED
    reached, scores = liveness.reached, list(liveness.spoof.scores)
    liveness.check_continuity(FrameFingerprint(10_100, "b", (480, 640), True))
    assert (liveness.failure, liveness.begins_again, liveness.acted) == (None, True, False)
    assert (liveness.reached, liveness.spoof.scores) == (reached, scores)
    liveness.check_continuity(FrameFingerprint(10_100 + limits.BEGIN_AGAIN_MS, "c", (480, 640), True))
    assert not liveness.begins_again
    begun_anew = told(liveness, [replace(reading, at_ms=10_200 + reading.at_ms) for reading in lively(LONG)[:20]])
    assert begun_anew.instruction is not None


def test_a_lost_face_drops_half_of_a_blink() -> None:
    liveness = told(begun(Policy.PASSIVE), timed([OPEN] * 4 + [CLOSED]))
    liveness.interrupt()
    told(liveness, timed([OPEN] * 4, begin_ms=600))
    assert not liveness.acted


def test_the_evidence_tells_every_number() -> None:
    evidence = Evidence.of(told(begun(Policy.PASSIVE), lively(LONG)))
    assert (evidence.verdict, evidence.spoke, evidence.readings) == ("passed", True, LONG)
    assert (evidence.skin_change or 0) > limits.SKIN_CHANGED
    assert (evidence.body_motion or 0) > limits.BODY_MOVED


TELLING = st.builds(
    replace,
    st.sampled_from([OPEN, OPEN, CLOSED, TALKING, LEFT, RIGHT]),
    live_score=st.sampled_from([None, 0.1, 0.49, 0.5, 0.99]),
    moire=st.sampled_from([None, OPEN.moire]),
    x=st.floats(0.4, 0.6),
    smile=st.floats(0, 1),
    pitch=st.floats(-25, 10),
    size=st.floats(0.1, 0.15),
)
SCENES = st.sampled_from([living, living, photographed, None])
EVENTS = st.lists(st.tuples(TELLING, SCENES, st.integers(-200, 900), st.integers(0, 19)), min_size=30, max_size=70)
Event = tuple[FaceReading, Scene | None, int, int]


def play(liveness: Liveness, events: Sequence[Event]) -> list[Verdict]:
    """Each reading a little later, or earlier, than the last; now and then the face is lost or suspected."""
    now, verdicts = 0, []
    for number, (reading, scene, later, chance) in enumerate(events):
        now = max(0, now + later)
        if chance == 0:
            liveness.interrupt()
        if chance == 1:
            liveness.suspect(replace(reading, at_ms=now))
        liveness.check_continuity(FrameFingerprint(now, str(number), (640, 480), True))
        liveness.observe(replace(reading, at_ms=now), scene(number) if scene else None)
        verdicts.append(liveness.verdict)
    return verdicts


@given(policy=st.sampled_from(ASKING), seed=st.integers(0, 50), events=EVENTS)
def test_whoever_passes_has_shown_every_piece_of_evidence(policy: Policy, seed: int, events: list[Event]) -> None:
    liveness = begun(policy, seed)
    verdicts = play(liveness, events)
    if Verdict.FAILED in verdicts:
        assert set(verdicts[verdicts.index(Verdict.FAILED) :]) == {Verdict.FAILED}
    if liveness.verdict is Verdict.PASSED:
        assert len(liveness.spoof.scores) >= limits.MIN_SCORES
        if liveness.challenge is not None:
            assert liveness.challenge.done == len(liveness.challenge.actions)
        if policy is Policy.PASSIVE:
            assert liveness.blink.seen or liveness.mouth.seen
        if policy is not Policy.ACTIVE:
            assert (liveness.skin.change or 0) >= limits.SKIN_CHANGED
            assert len(liveness.moire.peaks) >= limits.MIN_MOIRES
    assert (liveness.instruction is not None) == (liveness.verdict is Verdict.PENDING)


def convincing(liveness: Liveness, seed: int) -> list[Event]:
    """All that a policy asks for, by a living person; a reading each 100 ms."""
    if liveness.challenge is None:
        readings = lively(LONG, seed)
    else:
        readings = [
            *lively(30, seed, speaks=False),
            *done(*liveness.challenge.actions),
            *lively(20, seed, speaks=False),
        ]
    return [(reading, living, 100, NOTHING_ELSE) for reading in readings]


NOTHING_ELSE = 19
MISHAPS = st.lists(
    st.tuples(st.integers(0, LONG), st.tuples(TELLING, SCENES, st.integers(-50, 300), st.integers(0, 19)))
)
"""Where anything else happens in between."""
SEEDS = st.integers(0, 50)


def with_mishaps(events: list[Event], mishaps: list[tuple[int, Event]]) -> list[Event]:
    for at, event in mishaps:
        events.insert(at, event)
    return events


def at_rest(reading: FaceReading) -> FaceReading:
    """No action is left but the small movements of a head."""
    resting = replace(OPEN, x=reading.x, y=reading.y, yaw=max(-5.0, min(5.0, reading.yaw)))
    return replace(resting, live_score=reading.live_score, moire=reading.moire)


Withhold = Callable[[FaceReading, Scene | None], tuple[FaceReading, Scene | None]]
PATIENT = [Policy.PASSIVE, Policy.STRICT]
WITHHELD: dict[str, tuple[list[Policy], Withhold]] = {
    "scores": (ASKING, lambda reading, scene: (replace(reading, live_score=None), scene)),
    "good scores": (ASKING, lambda reading, scene: (replace(reading, live_score=0.49), scene)),
    "moire": (PATIENT, lambda reading, scene: (replace(reading, moire=None), scene)),
    "samples": (PATIENT, lambda reading, scene: (reading, None)),
    "living skin": (PATIENT, lambda reading, scene: (reading, photographed)),
    "action": (ASKING, lambda reading, scene: (at_rest(reading), scene)),
}


@pytest.mark.parametrize("policy", ASKING)
def test_a_convincing_person_convinces(policy: Policy) -> None:
    """What is withheld below is all that is missing there."""
    begins = [begun(policy, seed) for seed in range(10)]
    ended = [play(liveness, convincing(liveness, seed))[-1] for seed, liveness in enumerate(begins)]
    assert ended == [Verdict.PASSED] * 10


@pytest.mark.parametrize(("piece", "policy"), [(piece, p) for piece in WITHHELD for p in WITHHELD[piece][0]])
@given(seed=SEEDS, mishaps=MISHAPS)
def test_without_one_piece_nobody_ever_passes(
    piece: str, policy: Policy, seed: int, mishaps: list[tuple[int, Event]]
) -> None:
    liveness, withhold = begun(policy, seed), WITHHELD[piece][1]
    events = with_mishaps(convincing(liveness, seed), mishaps)
    kept = [(*withhold(reading, scene), later, chance) for reading, scene, later, chance in events]
    assert Verdict.PASSED not in play(liveness, kept)


@given(seed=SEEDS, mishaps=MISHAPS, step_ms=st.integers(0, 100))
def test_nobody_passes_passively_before_a_loop_would_show(
    seed: int, mishaps: list[tuple[int, Event]], step_ms: int
) -> None:
    liveness = begun(Policy.PASSIVE)
    events = with_mishaps(convincing(liveness, seed), mishaps)[: limits.OBSERVED_READINGS - 1]
    assert Verdict.PASSED not in play(liveness, [(*event[:2], step_ms, event[3]) for event in events])


@given(seed=SEEDS, mishaps=MISHAPS)
def test_who_leaves_out_one_step_never_passes(seed: int, mishaps: list[tuple[int, Event]]) -> None:
    for policy in (Policy.ACTIVE, Policy.STRICT):
        liveness = begun(policy, seed)
        assert liveness.challenge is not None
        left_out = SHOWN[liveness.challenge.actions[seed % len(liveness.challenge.actions)]]
        known = [one for one in SHOWN.values() if one != left_out]
        events = [event for event in convincing(liveness, seed) if event[0] != left_out]
        anything = [(at, (known[at % len(known)], *event[1:])) for at, event in mishaps]
        assert Verdict.PASSED not in play(liveness, with_mishaps(events, anything))


@given(policy=st.sampled_from(ASKING), events=EVENTS)
def test_a_failure_is_final(policy: Policy, events: list[Event]) -> None:
    liveness = told(begun(policy), timed([replace(OPEN, live_score=0.0)] * 6))
    assert liveness.verdict is Verdict.FAILED
    play(liveness, events)
    assert (liveness.verdict, liveness.failure) == (Verdict.FAILED, "spoof_suspected")


@given(policy=st.sampled_from(ASKING), events=EVENTS)
def test_time_never_runs_backwards(policy: Policy, events: list[Event]) -> None:
    liveness = begun(policy)
    play(liveness, events)
    liveness.observe(replace(OPEN, at_ms=liveness.last_at_ms + 10_000), living(0))
    before = copy.deepcopy(liveness)
    liveness.observe(replace(LEFT, at_ms=liveness.last_at_ms - 1), living(1))
    liveness.check_continuity(FrameFingerprint(liveness.last_at_ms - 1, "late", (320, 240), True))
    assert liveness == before


def test_a_frame_from_before_the_last_one_changes_nothing_even_without_a_face() -> None:
    liveness = begun(Policy.PASSIVE)
    liveness.check_continuity(FrameFingerprint(1_000, "a", (640, 480), True))
    before = copy.deepcopy(liveness)
    liveness.check_continuity(FrameFingerprint(900, "b", (320, 240), True))
    assert liveness == before


def test_the_reason_of_a_failure_stays() -> None:
    liveness = told(asked(Policy.ACTIVE, Action.TURN_LEFT, Action.BLINK), timed([OPEN] * 5))
    liveness.observe(replace(OPEN, at_ms=2 * limits.STEP_WINDOW_MS), living(0))
    for at in range(20):
        liveness.suspect(replace(OPEN, live_score=0.0, at_ms=2 * limits.STEP_WINDOW_MS + at))
    assert liveness.failure == "liveness_timeout"


@given(policy=st.sampled_from(ASKING), seed=st.integers(0, 50), events=EVENTS)
def test_the_same_observations_give_the_same_state(policy: Policy, seed: int, events: list[Event]) -> None:
    one, other = begun(policy, seed), begun(policy, seed)
    assert play(one, events) == play(other, events)
    assert one == other

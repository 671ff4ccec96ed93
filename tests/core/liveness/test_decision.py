"""No order of readings passes without every piece of evidence, and a verdict of failure is final."""

from __future__ import annotations

import random
from dataclasses import replace
from statistics import median

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.liveness.challenge import STEP_WINDOW_MS, Action, Challenge
from core.liveness.cues import LIVE_SCORE, MIN_SCORES
from core.liveness.decision import Liveness, Policy, Verdict
from core.liveness.observation import FaceReading
from tests.core.liveness.readings import CLOSED, LEFT, OPEN, RIGHT, TALKING, timed

LIVELY = [OPEN] * 4 + [CLOSED] * 2 + [OPEN] * 2
SPEECH = [OPEN, OPEN, OPEN, TALKING, TALKING, TALKING] * 2
WITHOUT_SCORE = {"live_score": None}


def begun(policy: Policy, seed: int = 0) -> Liveness:
    return Liveness.begin(policy, "challenge", random.Random(seed))


def active(*actions: Action) -> Liveness:
    return Liveness(Policy.ACTIVE, Challenge("challenge", list(actions)))


def told(liveness: Liveness, readings: list[FaceReading]) -> Liveness:
    for reading in readings:
        liveness.observe(reading)
    return liveness


def scored(readings: list[FaceReading], score: float | None) -> list[FaceReading]:
    return [replace(reading, live_score=score) for reading in readings]


def test_nothing_is_asked_by_the_policy_that_asks_nothing() -> None:
    liveness = begun(Policy.NONE)
    told(liveness, timed(scored(SPEECH, 0.0)))
    assert liveness.verdict is Verdict.NOT_REQUIRED
    assert (liveness.challenge, liveness.instruction, liveness.failure) == (None, None, None)


@pytest.mark.parametrize("evidence", [LIVELY, SPEECH])
def test_a_live_face_that_blinks_or_speaks_passes_passively(evidence: list[FaceReading]) -> None:
    assert told(begun(Policy.PASSIVE), timed(evidence)).verdict is Verdict.PASSED


def test_a_still_face_does_not_pass_however_live_it_looks() -> None:
    liveness = told(begun(Policy.PASSIVE), timed([OPEN] * 500))
    assert liveness.verdict is Verdict.PENDING
    assert liveness.instruction == "blink"
    assert (liveness.steps_done, liveness.steps_total) == (0, 1)


def test_movement_does_not_pass_without_scores() -> None:
    liveness = told(begun(Policy.PASSIVE), timed(scored(LIVELY + SPEECH, None)))
    assert liveness.verdict is Verdict.PENDING
    assert liveness.instruction == "hold_still"
    assert (liveness.steps_done, liveness.steps_total) == (1, 1)


@pytest.mark.parametrize("policy", [Policy.PASSIVE, Policy.ACTIVE])
def test_a_face_that_looks_presented_fails_whatever_it_does(policy: Policy) -> None:
    liveness = told(begun(policy), timed(scored(LIVELY + SPEECH, 0.1)))
    assert liveness.verdict is Verdict.FAILED
    assert liveness.failure == "spoof_suspected"
    assert liveness.instruction is None


def test_an_active_challenge_and_scores_pass_together() -> None:
    liveness = active(Action.TURN_LEFT, Action.BLINK)
    assert (liveness.instruction, liveness.steps_total) == ("turn_left", 2)
    halfway = told(liveness, timed([OPEN] * 4 + [LEFT]))
    assert (halfway.instruction, halfway.steps_done, halfway.verdict) == ("blink", 1, Verdict.PENDING)
    done = told(liveness, timed(LIVELY, begin_ms=1_000))
    assert (done.instruction, done.steps_done, done.verdict) == (None, 2, Verdict.PASSED)


def test_a_natural_blink_or_speech_does_not_replace_the_challenge() -> None:
    liveness = told(active(Action.TURN_LEFT, Action.TURN_RIGHT), timed(LIVELY + SPEECH))
    assert (liveness.verdict, liveness.steps_done) == (Verdict.PENDING, 0)


def test_a_challenge_that_times_out_fails() -> None:
    liveness = told(active(Action.TURN_LEFT, Action.BLINK), timed([OPEN] * 5))
    liveness.observe(replace(OPEN, at_ms=2 * STEP_WINDOW_MS))
    assert (liveness.verdict, liveness.failure) == (Verdict.FAILED, "liveness_timeout")


def test_each_session_draws_its_own_challenge() -> None:
    drawn = {tuple(c.actions) for seed in range(50) if (c := begun(Policy.ACTIVE, seed).challenge) is not None}
    assert len(drawn) == 6
    assert begun(Policy.PASSIVE).challenge is None


def test_readings_from_the_past_are_refused() -> None:
    liveness = told(begun(Policy.PASSIVE), [replace(OPEN, at_ms=10_000)])
    told(liveness, timed(LIVELY + SPEECH))
    assert liveness.verdict is Verdict.PENDING
    assert len(liveness.spoof.scores) == 1
    assert liveness.last_at_ms == 10_000


def test_a_lost_face_drops_half_of_a_blink() -> None:
    liveness = told(begun(Policy.PASSIVE), timed([OPEN] * 4 + [CLOSED]))
    liveness.interrupt()
    told(liveness, timed([OPEN] * 4, begin_ms=600))
    assert liveness.verdict is Verdict.PENDING


def test_a_lost_face_drops_half_of_a_sentence() -> None:
    liveness = told(begun(Policy.PASSIVE), timed(SPEECH[:7]))
    liveness.interrupt()
    told(liveness, timed(SPEECH[7:], begin_ms=700))
    assert liveness.verdict is Verdict.PENDING


def test_a_lost_face_keeps_what_was_complete() -> None:
    for evidence in (LIVELY, SPEECH):
        liveness = told(begun(Policy.PASSIVE), timed(scored(evidence, None)))
        liveness.interrupt()
        told(liveness, timed([OPEN] * 3, begin_ms=5_000))
        assert liveness.verdict is Verdict.PASSED


def readings() -> st.SearchStrategy[FaceReading]:
    """Anything at all, and often something that matters."""
    wild = st.builds(
        FaceReading,
        at_ms=st.integers(0, 30_000),
        blink=st.floats(0, 1),
        eye_opening=st.floats(0.001, 0.6),
        mouth_opening=st.floats(0, 1),
        yaw=st.floats(-60, 60),
        pitch=st.floats(-60, 60),
        sharpness=st.floats(0, 0.2),
        live_score=st.none() | st.floats(0, 1),
    )
    telling = st.builds(
        replace,
        st.sampled_from([OPEN, OPEN, CLOSED, TALKING, LEFT, RIGHT]),
        live_score=st.sampled_from([None, 0.1, 0.49, 0.5, 0.99]),
    )
    return st.one_of(telling, telling, telling, wild)


EVENTS = st.lists(st.tuples(readings(), st.integers(-200, 1_500), st.integers(0, 19)), min_size=20, max_size=80)


def play(liveness: Liveness, events: list[tuple[FaceReading, int, int]]) -> list[tuple[Verdict, FaceReading]]:
    """Each reading a little later (or earlier) than the last; now and then the face is lost."""
    now = 0
    verdicts = []
    for reading, later, chance in events:
        now = max(0, now + later)
        if chance == 0:
            liveness.interrupt()
        liveness.observe(replace(reading, at_ms=now))
        verdicts.append((liveness.verdict, replace(reading, at_ms=now)))
    return verdicts


def accepted(verdicts: list[tuple[Verdict, FaceReading]]) -> list[float]:
    """The scores of the readings that were not from the past."""
    latest, scores = 0, []
    for _, reading in verdicts:
        if reading.at_ms >= latest:
            latest = reading.at_ms
            if reading.live_score is not None:
                scores.append(reading.live_score)
    return scores


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(policy=st.sampled_from([Policy.PASSIVE, Policy.ACTIVE]), seed=st.integers(0, 50), events=EVENTS)
def test_no_order_of_readings_passes_without_every_piece_of_evidence(
    policy: Policy, seed: int, events: list[tuple[FaceReading, int, int]]
) -> None:
    liveness = begun(policy, seed)
    verdicts = play(liveness, events)
    failed = False
    for index, (verdict, _) in enumerate(verdicts):
        assert not failed or verdict is Verdict.FAILED
        failed = failed or verdict is Verdict.FAILED
        if verdict is Verdict.PASSED:
            scores = accepted(verdicts[: index + 1])
            assert len(scores) >= MIN_SCORES
            assert median(scores) >= LIVE_SCORE
    if liveness.verdict is Verdict.PASSED:
        if liveness.challenge is not None:
            assert liveness.challenge.done == len(liveness.challenge.actions)
            assert not liveness.challenge.timed_out
        else:
            assert liveness.blink.seen or liveness.mouth.seen
    else:
        assert liveness.steps_done <= liveness.steps_total
    assert (liveness.instruction is not None) == (liveness.verdict is Verdict.PENDING)


@settings(max_examples=100, deadline=None)
@given(events=EVENTS)
def test_a_failure_is_final(events: list[tuple[FaceReading, int, int]]) -> None:
    for policy in (Policy.PASSIVE, Policy.ACTIVE):
        liveness = told(begun(policy), timed(scored([OPEN] * 6, 0.0)))
        assert liveness.verdict is Verdict.FAILED
        play(liveness, events)
        assert (liveness.verdict, liveness.failure) == (Verdict.FAILED, "spoof_suspected")


@settings(max_examples=100, deadline=None)
@given(events=EVENTS)
def test_photographs_by_their_scores_never_pass(events: list[tuple[FaceReading, int, int]]) -> None:
    low = [(replace(reading, live_score=min(reading.live_score or 0.0, 0.49)), *rest) for reading, *rest in events]
    for policy in (Policy.PASSIVE, Policy.ACTIVE):
        verdicts = play(begun(policy), low)  # type: ignore[arg-type]
        assert Verdict.PASSED not in {verdict for verdict, _ in verdicts}


@settings(max_examples=50, deadline=None)
@given(events=EVENTS)
def test_the_policy_that_asks_nothing_never_asks(events: list[tuple[FaceReading, int, int]]) -> None:
    liveness = begun(Policy.NONE)
    assert {verdict for verdict, _ in play(liveness, events)} == {Verdict.NOT_REQUIRED}
    assert (liveness.instruction, liveness.failure) == (None, None)

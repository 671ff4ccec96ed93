"""A face takes on the colours of the screen; what was recorded before cannot know them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.face_mesh import FaceMesh
from core.features.face_tint import face_tint
from core.liveness import limits
from core.liveness.challenge import Challenge
from core.liveness.cues.light import Colour, LightCue, Tint
from core.types import RgbImage
from tests.core.liveness.readings import LEFT, OPEN, timed
from vocabulary.faces import Action

LATE = 3
"""Readings between what the server tells and what the camera sees of it."""
SECONDS = 11

Answer = Callable[[Colour | None], Tint | None]


def mixed(share: float) -> Answer:
    """The tint of a grey face to whose light the screen adds `share` of its colour."""

    def answer(colour: Colour | None) -> Tint:
        red, green, blue = (1.0 + share * light for light in (colour.rgb if colour else (0.0, 0.0, 0.0)))
        return float(np.log(red / green)), float(np.log(blue / green))

    return answer


def recorded(colours: Iterable[Colour]) -> Answer:
    """Each colour for as long as a server holds it, whatever is told."""
    shown = iter(np.repeat(list(colours), 9))
    return lambda _: mixed(0.1)(Colour(next(shown, Colour.WHITE)))


def lit(answer: Answer, seed: int = 0, noise: float = 0.002) -> LightCue:
    """A cue whose colours are answered, LATE, by a camera with noise."""
    cue, chance = LightCue.draw(random.Random(seed)), random.Random(seed)
    told: list[Colour | None] = [None] * LATE
    for reading in timed([OPEN] * (10 * SECONDS)):
        told.append(cue.colour)
        tint = answer(told[-1 - LATE])
        noisy = None if tint is None else (tint[0] + chance.gauss(0, noise), tint[1] + chance.gauss(0, noise))
        cue.observe(replace(reading, tint=noisy))
    return cue


@pytest.mark.parametrize("seed", range(10))
def test_a_face_that_takes_on_the_colours_is_seen_in_a_step_s_time(seed: int) -> None:
    cue = lit(mixed(0.05), seed)
    assert cue.seen
    assert limits.LIGHT_COLOURS * limits.LIGHT_HOLD_MS < limits.STEP_WINDOW_MS


@pytest.mark.parametrize("seed", range(10))
def test_a_face_that_does_not_is_not(seed: int) -> None:
    assert not lit(mixed(0.0), seed).seen


def test_a_face_whose_colour_could_not_be_measured_is_not() -> None:
    cue = lit(lambda _: None)
    assert (cue.seen, cue.agreement) == (False, None)


def test_the_colours_of_another_session_hardly_ever_fit() -> None:
    passed = 0
    for seed in range(200):
        known = LightCue.draw(random.Random(1_000 + seed)).colours
        passed += lit(recorded(known), seed).seen
    assert passed <= 10


def test_a_colour_that_drifts_as_white_balance_does_is_no_answer() -> None:
    drift = iter(np.linspace(0.0, 0.3, 10 * SECONDS))
    assert not lit(lambda _: (float(next(drift)), 0.0)).seen


def test_no_colour_follows_itself_and_sessions_differ() -> None:
    draws = [LightCue.draw(random.Random(seed)).colours for seed in range(30)]
    assert all(one is not other for colours in draws for one, other in pairwise(colours))
    assert len({tuple(colours) for colours in draws}) == 30
    assert set().union(*draws) == set(Colour)


@given(st.lists(st.tuples(st.integers(1, 700), st.booleans()), max_size=80))
def test_the_screen_never_flashes_faster_than_three_times_a_second(happening: Iterable[tuple[int, bool]]) -> None:
    """Whatever comes and goes in front of the camera: two changes are at least LIGHT_HOLD_MS apart."""
    challenge = Challenge("c", [Action.LIGHT], light=LightCue.draw(random.Random(0)))
    for reading in timed([OPEN] * 8):
        challenge.observe(reading)
    assert challenge.light is not None
    assert challenge.light.told_at_ms is not None
    now, shown, changed = 700, challenge.colour, challenge.light.told_at_ms
    for passes_ms, lost in happening:
        now += passes_ms
        if lost:
            challenge.interrupt()
        else:
            challenge.observe(replace(OPEN, at_ms=now, tint=(0.0, 0.0)))
        if challenge.colour is not shown:
            assert now - changed >= limits.LIGHT_HOLD_MS
            shown, changed = challenge.colour, now
    assert limits.LIGHT_HOLD_MS >= 1_000 / 3


def test_the_light_is_a_step_as_others_are() -> None:
    """From rest, in its turn; who moves meanwhile makes a mistake."""
    challenge = Challenge.draw("c", 1, {Action.LIGHT}, random.Random(0))
    told: list[Colour | None] = [None] * LATE
    for reading in timed([OPEN] * 80):
        told.append(challenge.colour)
        challenge.observe(replace(reading, tint=mixed(0.05)(told[-1 - LATE])))
    assert challenge.passed
    assert challenge.colour is None
    moved = Challenge.draw("c", 1, {Action.LIGHT}, random.Random(0))
    for reading in timed([*[OPEN] * 8, *([LEFT] * 4 + [OPEN] * 4) * 3]):
        moved.observe(reading)
    assert moved.failure == "wrong_action"
    assert moved.colour is None


def test_no_colour_is_shown_before_its_step() -> None:
    challenge = Challenge("c", [Action.TURN_LEFT, Action.LIGHT], light=LightCue.draw(random.Random(0)))
    for reading in timed([OPEN] * 20):
        challenge.observe(reading)
        assert challenge.colour is None


def test_the_tint_is_the_light_s_and_not_the_exposure_s(hopper_rgb: RgbImage, mesh: FaceMesh) -> None:
    face = mesh.process(hopper_rgb)[0]
    plain = face_tint(hopper_rgb, face)
    darker = np.asarray(hopper_rgb * 0.7, np.uint8)
    redder = np.asarray(np.clip(hopper_rgb * np.array([1.1, 1.0, 1.0]), 0, 255), np.uint8)
    assert face_tint(darker, face) == pytest.approx(plain, abs=0.02)
    assert face_tint(redder, face)[0] - plain[0] == pytest.approx(np.log(1.1), abs=0.02)
    assert face_tint(redder, face)[1] == pytest.approx(plain[1], abs=0.01)
    at_the_edge = replace(face, points=face.points + 10_000)
    assert all(np.isfinite(face_tint(hopper_rgb, at_the_edge)))

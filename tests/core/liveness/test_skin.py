"""Skin that folds and shines as it moves is told from a picture of skin under changing light."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.liveness.cues.skin import Series, SkinCue, skin_change
from core.liveness.limits import MIN_SKIN_SAMPLES, SKIN_CHANGED, SKIN_CHANGED_MUCH, SKIN_WINDOW
from core.types import Box
from tests.core.liveness.readings import OPEN, moving
from tests.core.liveness.scenes import skin, wave

FRAMES = 36


def still(noise: float = 0.0) -> Series:
    face = np.random.default_rng(0).uniform(60, 190, 120)
    return face + np.random.default_rng(1).normal(0, noise, (FRAMES, 120))


def waves(period: float = 15.0) -> Series:
    return np.array([[wave(frame, period)] for frame in range(FRAMES)])


def test_a_picture_does_not_change_whatever_the_light_does() -> None:
    assert skin_change(still()) == pytest.approx(0, abs=1e-6)
    assert skin_change(still() * (1 + 0.2 * waves())) == pytest.approx(0, abs=1e-6)
    assert skin_change(still() + 25 * waves()) == pytest.approx(0, abs=1e-6)
    assert skin_change(still(noise=1.0) * (1 + 0.2 * waves(9)) + 10 * waves(21)) < SKIN_CHANGED


def test_places_that_grow_darker_and_lighter_by_themselves_are_a_change() -> None:
    folds = np.arange(120) % 3 == 0
    assert skin_change(still(noise=1.0) * (1 + 0.08 * waves() * folds)) > SKIN_CHANGED_MUCH


def test_a_single_place_that_flickers_is_none() -> None:
    eyelash = np.arange(120) == 7
    assert skin_change(still() * (1 + 0.5 * waves() * eyelash)) < SKIN_CHANGED / 3


def seen(count: int = FRAMES, *, alive: float = 0.0, yaws: list[float] | None = None) -> SkinCue:
    cue = SkinCue()
    for frame in range(count):
        samples = skin(frame, alive=alive)
        cue.observe(replace(OPEN, yaw=yaws[frame] if yaws else 0.0), samples)
    return cue


def test_living_skin_is_told_from_a_picture() -> None:
    picture, living = seen().change, seen(alive=0.08).change
    assert picture is not None
    assert living is not None
    assert picture < SKIN_CHANGED < SKIN_CHANGED_MUCH < living


def test_too_few_samples_say_nothing() -> None:
    assert seen(MIN_SKIN_SAMPLES - 1, alive=0.08).change is None
    assert seen(MIN_SKIN_SAMPLES, alive=0.08).change is not None


def test_too_few_places_in_the_picture_say_nothing() -> None:
    cue = SkinCue()
    for frame in range(FRAMES):
        samples = skin(frame, alive=0.08)
        samples[: 2 * len(samples) // 3] = 0
        cue.observe(OPEN, samples)
    assert cue.change is None


def test_a_head_that_turns_is_not_compared_with_itself() -> None:
    assert seen(alive=0.08, yaws=[3.0 * frame for frame in range(FRAMES)]).change is None
    swaying = [reading.yaw for reading in moving(FRAMES)]
    assert seen(alive=0.08, yaws=swaying).change is not None


def test_the_largest_change_counts_and_no_more_than_a_window_is_kept() -> None:
    cue = seen(alive=0.08)
    largest = cue.change
    for frame in range(2 * SKIN_WINDOW):
        cue.observe(OPEN, skin(frame))
    assert len(cue.samples) == SKIN_WINDOW
    assert largest is not None
    assert cue.change is not None
    assert cue.change >= largest


def test_a_lost_face_begins_anew_and_keeps_what_was_measured() -> None:
    cue = seen(alive=0.08)
    before = cue.change
    cue.interrupt()
    assert cue.change == before
    half = seen(MIN_SKIN_SAMPLES - 1, alive=0.08)
    half.interrupt()
    half.observe(replace(OPEN, box=Box(0.1, 0.2, 0.3, 0.5)), skin(0))
    assert half.change is None

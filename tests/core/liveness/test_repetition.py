"""A recording that is played again is found by its motion, whatever its bytes; living heads are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from core.liveness.limits import LONG_STILL
from core.liveness.observation import FaceReading
from core.liveness.repetition import Repetition
from tests.core.liveness.readings import OPEN, moving, timed

SECOND = 10
LIVELY = 4.0


def watched(readings: Sequence[FaceReading], step_ms: int = 100) -> Repetition:
    repetition = Repetition()
    for reading in timed(readings, step_ms=step_ms):
        repetition.observe(reading)
    return repetition


def noisy(readings: Sequence[FaceReading], share: float = 1.0, seed: int = 0) -> list[FaceReading]:
    """As the mesh sees the same picture again with new noise."""
    source = np.random.default_rng(seed)

    def anew(value: float, by: float) -> float:
        return value + float(source.normal(0, by * share))

    return [
        replace(
            reading,
            yaw=anew(reading.yaw, 0.1),
            pitch=anew(reading.pitch, 0.1),
            x=anew(reading.x, 0.0001),
            y=anew(reading.y, 0.0001),
            mouth_opening=anew(reading.mouth_opening, 0.002),
            eye_opening=anew(reading.eye_opening, 0.003),
        )
        for reading in readings
    ]


@pytest.mark.parametrize("noise", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("length", [SECOND, 2 * SECOND, 4 * SECOND])
def test_motion_that_is_played_again_is_found(length: int, noise: float) -> None:
    recording = moving(length, seed=length, extent=LIVELY)
    repetition = watched(noisy(recording + recording, noise))
    assert repetition.failure == "stream_repeated"
    assert repetition.alike is not None
    assert repetition.alike < 0.4


@pytest.mark.parametrize("noise", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("length", [SECOND, 2 * SECOND, 4 * SECOND])
def test_motion_that_is_played_backwards_is_found(length: int, noise: float) -> None:
    recording = moving(length, seed=length, extent=LIVELY)
    assert watched(noisy(recording + recording[-2::-1], noise)).failure == "stream_repeated"


def test_what_came_again_between_other_motion_is_found() -> None:
    recording = moving(2 * SECOND, seed=1, extent=LIVELY)
    other = moving(3 * SECOND, seed=2, extent=LIVELY)
    assert watched(recording + other + recording).failure == "stream_repeated"


@pytest.mark.parametrize("extent", [1.5, LIVELY])
def test_living_heads_are_neither_still_nor_repeating(extent: float) -> None:
    failed = [seed for seed in range(300) if watched(moving(8 * SECOND, seed, extent=extent)).failure is not None]
    assert failed == []


def test_a_picture_that_is_held_is_frozen_however_noisy_it_is() -> None:
    held = watched(noisy([OPEN] * 2 * LONG_STILL))
    assert held.failure == "stream_frozen"
    assert held.stillness is not None
    assert held.stillness < 0.65


def test_a_moment_of_stillness_is_no_frozen_stream() -> None:
    pauses = moving(SECOND, 1) + [OPEN] * (LONG_STILL // 2) + moving(SECOND, 2)
    assert watched(pauses).failure is None


def test_stillness_takes_its_time_with_a_fast_camera_too() -> None:
    half_a_second = moving(SECOND, 1) + [OPEN] * LONG_STILL + moving(SECOND, 2)
    assert watched(half_a_second, step_ms=33).failure is None
    assert watched(moving(SECOND, 1) + noisy([OPEN] * 4 * LONG_STILL), step_ms=33).failure == "stream_frozen"


def test_nothing_is_said_of_few_readings() -> None:
    few = watched(moving(LONG_STILL - 1))
    assert (few.failure, few.alike, few.stillness) == (None, None, None)


def test_the_first_reason_stays() -> None:
    recording = moving(2 * SECOND, seed=1, extent=LIVELY)
    assert watched(recording + recording + [OPEN] * 2 * LONG_STILL).failure == "stream_repeated"

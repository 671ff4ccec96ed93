"""Shoulders that move by shares of a pixel are seen; noise, and a camera that shakes, are not taken for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from core.features.values import THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH, Thumbnail
from core.liveness.cues.body import BodyCue, regions
from core.liveness.limits import BODY_MOVED, MIN_BODY_READINGS
from core.liveness.observation import FaceReading
from core.types import Box
from tests.core.liveness.readings import LEFT, OPEN, TALKING
from tests.core.liveness.scenes import Shift, scene, wave

FRAMES = 60
FACE_WIDTH = OPEN.box.width * THUMBNAIL_WIDTH


def breathing(extent: float, direction: Shift = (0.0, 1.0), period: float = 30.0) -> Callable[[int], Shift]:
    """To and fro within so many pixels of the thumbnail."""

    def at(frame: int) -> Shift:
        by = extent / 2 * wave(frame, period)
        return by * direction[0], by * direction[1]

    return at


def still(frame: int) -> Shift:
    return 0.0, 0.0


def motion(
    shoulders: Callable[[int], Shift] = still,
    wall: Callable[[int], Shift] = still,
    noise: float = 1.0,
    reading: FaceReading = OPEN,
) -> float | None:
    pictures = [scene(shoulders(at), wall(at), reading.box, noise, seed=at) for at in range(FRAMES)]
    return cue_of(pictures, [reading] * FRAMES).motion


def cue_of(pictures: Sequence[Thumbnail], readings: Sequence[FaceReading]) -> BodyCue:
    cue = BodyCue()
    for picture, reading in zip(pictures, readings, strict=True):
        cue.observe(reading, picture)
    return cue


@pytest.mark.parametrize("direction", [(0.0, 1.0), (1.0, 0.0), (0.6, 0.8)])
@pytest.mark.parametrize("pixels", [0.25, 0.5, 1.0])
def test_shoulders_that_breathe_are_measured(pixels: float, direction: Shift) -> None:
    expected = pixels / FACE_WIDTH * 100
    assert motion(breathing(pixels, direction)) == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("noise", [0.0, 1.0, 3.0, 6.0])
def test_a_picture_with_new_noise_does_not_breathe(noise: float) -> None:
    moved = motion(noise=noise)
    assert moved is not None
    assert moved < BODY_MOVED


def test_a_photograph_before_a_wall_is_not_made_alive_by_the_light() -> None:
    lit = [
        np.clip(scene() * (1 + 0.1 * wave(at, 25)) + 6 * wave(at, 14), 0, 255).astype(np.uint8) for at in range(FRAMES)
    ]
    moved = cue_of(lit, [OPEN] * FRAMES).motion
    assert moved is not None
    assert moved < BODY_MOVED


def test_a_camera_that_shakes_moves_everything_and_no_shoulders() -> None:
    shaken = breathing(1.0, (0.7, 0.7))
    moved = motion(shaken, shaken)
    assert moved is not None
    assert moved < BODY_MOVED


def test_a_wall_that_moves_is_no_breath() -> None:
    moved = motion(still, breathing(1.0))
    assert moved is not None
    assert moved < BODY_MOVED


def test_without_shoulders_in_the_picture_nothing_is_said() -> None:
    low = replace(OPEN, box=Box(0.35, 0.45, 0.3, 0.55))
    assert motion(breathing(1.0), reading=low) is None


def test_too_few_readings_say_nothing() -> None:
    pictures = [scene(breathing(0.5)(at)) for at in range(MIN_BODY_READINGS + 1)]
    assert cue_of(pictures[:-1], [OPEN] * MIN_BODY_READINGS).motion is None
    assert cue_of(pictures, [OPEN] * (MIN_BODY_READINGS + 1)).motion is not None


@pytest.mark.parametrize("acting", [LEFT, TALKING, replace(OPEN, size=0.15), replace(OPEN, smile=0.4)])
def test_shoulders_are_looked_at_only_while_the_face_is_as_it_was(acting: FaceReading) -> None:
    """What an animator draws around a face that acts moves with it."""
    pictures = [scene(breathing(2.0)(at)) for at in range(FRAMES)]
    assert cue_of(pictures, [OPEN] + [acting] * (FRAMES - 1)).motion is None


def test_a_lost_face_begins_anew_and_keeps_what_was_measured() -> None:
    cue = cue_of([scene(breathing(0.5)(at)) for at in range(FRAMES)], [OPEN] * FRAMES)
    before = cue.motion
    cue.interrupt()
    cue_before = replace(cue)
    assert cue.motion == before
    elsewhere = replace(OPEN, box=Box(0.1, 0.2, 0.3, 0.5))
    cue.observe(elsewhere, scene(box=elsewhere.box, seed=5))
    assert (cue.at_rest, cue.shifts, cue_before.at_rest) == (elsewhere, [], None)


def test_shoulders_and_wall_are_within_the_picture_and_apart() -> None:
    for box in (OPEN.box, Box(0.0, 0.0, 0.5, 0.6), Box(0.6, 0.4, 0.4, 0.6), Box(-0.1, -0.1, 1.2, 1.2)):
        shoulders, behind = regions(box)
        assert shoulders.shape == behind.shape == (THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH)
        assert not (shoulders & behind).any()

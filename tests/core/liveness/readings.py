"""Readings of faces for the liveness machines: made up, or taken from real frames through the real mesh."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from core.face_recognition_engine import FrameView, LivenessDetector
from core.features.quality import face_box
from core.imaging.frames import Picture
from core.liveness.observation import FaceReading, read_face
from core.types import Box, RgbImage
from vocabulary.faces import Action, Issue

HARMLESS = {Issue.LOOK_STRAIGHT, Issue.EYES_CLOSED}
"""Frames with any other issue are kept from the machines by the session."""

OPEN = FaceReading(
    at_ms=0,
    blink=0.05,
    eye_opening=0.3,
    mouth_opening=0.05,
    yaw=0.0,
    pitch=0.0,
    sharpness=0.03,
    live_score=0.99,
    mouth_width=0.8,
    smile=0.05,
    box=Box(0.35, 0.2, 0.3, 0.5),
    x=0.5,
    y=0.35,
    size=0.12,
    moire=1.3,
)
CLOSED = replace(OPEN, blink=0.6, eye_opening=0.1)
TALKING = replace(OPEN, mouth_opening=0.35)
LEFT = replace(OPEN, yaw=20.0)
RIGHT = replace(OPEN, yaw=-20.0)
DOWN = replace(OPEN, pitch=-16.0)
SMILING = replace(OPEN, smile=0.6, mouth_width=0.88)
CLOSER = replace(OPEN, size=0.16)

SHOWN = {
    Action.BLINK: CLOSED,
    Action.TURN_LEFT: LEFT,
    Action.TURN_RIGHT: RIGHT,
    Action.NOD: DOWN,
    Action.SMILE: SMILING,
    Action.OPEN_MOUTH: TALKING,
    Action.MOVE_CLOSER: CLOSER,
}
"""One reading in the middle of each action."""


def timed(readings: Iterable[FaceReading], begin_ms: int = 0, step_ms: int = 100) -> list[FaceReading]:
    return [replace(reading, at_ms=begin_ms + index * step_ms) for index, reading in enumerate(readings)]


def done(*actions: Action) -> list[FaceReading]:
    """Each action after half a second of rest, and rest again."""
    return [reading for action in actions for reading in [OPEN] * 5 + [SHOWN[action]] * 3 + [OPEN]]


def moving(count: int, seed: int = 0, extent: float = 1.0) -> list[FaceReading]:
    """A head that is never quite still, as living ones are: a smooth random walk of every measure about OPEN."""
    noise = np.random.default_rng(seed).normal(0, 0.6 * extent, (count + 10, 8))
    walk = np.zeros_like(noise)
    for at in range(1, len(walk)):
        walk[at] = 0.85 * walk[at - 1] + noise[at]
    smooth = (walk[8:-2] + walk[9:-1] + walk[10:]) / 3
    return [_displaced(OPEN, [float(by) for by in row]) for row in smooth]


def _displaced(reading: FaceReading, by: Sequence[float]) -> FaceReading:
    return replace(
        reading,
        yaw=reading.yaw + by[0],
        pitch=reading.pitch + by[1],
        x=reading.x + 0.0012 * by[2],
        y=reading.y + 0.0012 * by[3],
        mouth_opening=reading.mouth_opening + 0.01 * by[4],
        mouth_width=reading.mouth_width + 0.01 * by[5],
        eye_opening=reading.eye_opening + 0.01 * by[6],
        smile=reading.smile + 0.02 * by[7],
    )


def readings_of(frames: Sequence[RgbImage], detector: LivenessDetector, fps: float) -> list[FaceReading]:
    """What a session would tell the machines of these frames."""

    def read(index: int) -> FaceReading | None:
        faces = detector.safe_process(frames[index])
        quality = FrameView.of(Picture.whole(frames[index]), faces).quality
        if not faces or not set(quality.issues) <= HARMLESS:
            return None
        box = face_box(faces[0], frames[index])
        return read_face(faces[0], quality.sharpness, None, round(index * 1000 / fps), box)

    with ThreadPoolExecutor(2) as executor:
        return [reading for reading in executor.map(read, range(len(frames))) if reading is not None]


def first_seen(readings: Iterable[FaceReading], observe: Callable[[FaceReading], bool]) -> FaceReading | None:
    """The reading at which `observe` first says yes."""
    return next((reading for reading in readings if observe(reading)), None)


def lively(count: int, seed: int = 0, *, speaks: bool = True) -> list[FaceReading]:
    """A head that is never twice in one place and, unless told to be quiet, speaks; a reading each 100 ms."""
    chance = random.Random(seed)
    x = y = yaw = 0.0
    seen = []
    for _ in range(count):
        x, y, yaw = (0.8 * at + chance.gauss(0, spread) for at, spread in ((x, 0.006), (y, 0.006), (yaw, 0.8)))
        mouth = chance.choice([0.03, 0.05, 0.3, 0.35]) if speaks else 0.05
        seen.append(replace(OPEN, x=0.5 + x, y=0.35 + y, yaw=yaw, mouth_opening=mouth))
    return timed(seen)

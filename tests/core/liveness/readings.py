"""Readings of faces for the liveness machines: made up, or taken from real frames through the real mesh."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from core.face_recognition_engine import LivenessDetector
from core.liveness.observation import FaceReading, read_face
from core.quality import Issue, assess
from core.types import RgbImage

HARMLESS = {Issue.LOOK_STRAIGHT, Issue.EYES_CLOSED}
"""Frames with any other issue are kept from the machines by the session."""

OPEN = FaceReading(
    at_ms=0, blink=0.05, eye_opening=0.3, mouth_opening=0.05, yaw=0.0, pitch=0.0, sharpness=0.03, live_score=0.99
)
CLOSED = replace(OPEN, blink=0.6, eye_opening=0.1)
TALKING = replace(OPEN, mouth_opening=0.35)
LEFT = replace(OPEN, yaw=20.0)
RIGHT = replace(OPEN, yaw=-20.0)


def timed(readings: Iterable[FaceReading], begin_ms: int = 0, step_ms: int = 100) -> list[FaceReading]:
    return [replace(reading, at_ms=begin_ms + index * step_ms) for index, reading in enumerate(readings)]


def readings_of(frames: Sequence[RgbImage], detector: LivenessDetector, fps: float) -> list[FaceReading]:
    """What a session would tell the machines of these frames."""

    def read(index: int) -> FaceReading | None:
        faces = detector.safe_process(frames[index])
        quality = assess(frames[index], faces)
        if not faces or not set(quality.issues) <= HARMLESS:
            return None
        return read_face(faces[0], quality.sharpness, None, round(index * 1000 / fps))

    with ThreadPoolExecutor(2) as executor:
        return [reading for reading in executor.map(read, range(len(frames))) if reading is not None]


def first_seen(readings: Iterable[FaceReading], observe: Callable[[FaceReading], bool]) -> FaceReading | None:
    """The reading at which `observe` first says yes."""
    return next((reading for reading in readings if observe(reading)), None)

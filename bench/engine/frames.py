"""Real clips in a webcam's format, 640x480: encoded whole, with a few decoded frames of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from bench.load.frames import ping_pong, sources
from core.types import RgbImage
from testkit.clips import encode_jpeg, read_clip

WIDTH, HEIGHT = 640, 480
SESSION_FRAMES = 75
"""Frames of a clip and of a session: 7.5 s at 10 frames per second."""
_DECODED = 10
"""Decoded frames kept of each clip: together 120 MB."""
_QUALITY = 85


@dataclass(frozen=True, slots=True)
class Clip:
    name: str
    jpegs: list[bytes] = field(repr=False)
    frames: list[RgbImage] = field(repr=False)
    """The first frames, decoded."""


def read_clips() -> list[Clip]:
    """Read every GRID and live clip."""
    return [clip_of(source.path.stem, read_clip(source.path, 0, SESSION_FRAMES)) for source in sources()]


def clip_of(name: str, pictures: Sequence[RgbImage]) -> Clip:
    frames = [as_webcam(picture) for picture in pictures]
    return Clip(name, [encode_jpeg(frame, _QUALITY) for frame in frames], frames[:_DECODED])


def as_webcam(rgb: RgbImage) -> RgbImage:
    """Crop the picture around the face to a webcam's proportions, as large as possible, and scale it to its size."""
    height, width = rgb.shape[:2]
    wide, high = min(width, height * WIDTH // HEIGHT), min(height, width * HEIGHT // WIDTH)
    # A phone held upright shows the face above the middle.
    left, top = (width - wide) // 2, (height - high) // (4 if height > width else 2)
    part = rgb[top : top + high, left : left + wide]
    return np.asarray(cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR), np.uint8)


class Walk:
    """The next frame's clip and position of one walker, which starts at its own clip and goes through all of them."""

    def __init__(self, clips: Sequence[Clip], first: int) -> None:
        self._clips = clips
        self._clip = first - 1
        self._position = SESSION_FRAMES  # The first step goes to the begin of the first clip.

    def step(self) -> bool:
        """Go to the next frame; returns whether it begins another clip, and so another session."""
        self._position += 1
        begins = self._position >= SESSION_FRAMES
        if begins:
            self.skip_to_next_clip()
        return begins

    def skip_to_next_clip(self) -> None:
        self._clip = (self._clip + 1) % len(self._clips)
        self._position = 0

    @property
    def jpeg(self) -> bytes:
        jpegs = self._clips[self._clip].jpegs
        return jpegs[ping_pong(len(jpegs), self._position)]

    @property
    def rgb(self) -> RgbImage:
        frames = self._clips[self._clip].frames
        return frames[ping_pong(len(frames), self._position)]

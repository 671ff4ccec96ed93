"""Real clips as WebSocket messages, encoded once before a run."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from bench.load.client import BINARY, client_frame
from core.types import RgbImage
from testkit.clips import GRID_CLIPS, SHARED_DATA, encode_jpeg, read_clip

PIXELS = 640 * 480
"""Pixels of a frame of any shape, as many as a browser's camera sends."""
_QUALITY = 85
_LENGTH = 75
"""Frames of a clip: 3 s as recorded, 7.5 s at 10 frames per second."""
_ENROLLED = (5, 30, 55)
"""Indices of the frames that a person is enrolled from."""


@dataclass(frozen=True, slots=True)
class Source:
    person: str
    path: Path


@dataclass(frozen=True, slots=True)
class WireClip:
    person: str
    messages: list[bytes] = field(repr=False)


def sources() -> list[Source]:
    live = sorted((SHARED_DATA / "live").glob("*.mp4"))
    return [Source(clip.speaker, clip.path) for clip in GRID_CLIPS] + [Source(path.stem, path) for path in live]


def wire_clips(people: frozenset[str], count: int) -> list[WireClip]:
    """Up to `count` clips of `people`, or of anyone when it is empty. Each is encoded once per process; all of them
    take 27 MB."""
    wanted = [source for source in sources() if not people or source.person in people]
    return [WireClip(source.person, _messages(source.path)) for source in wanted[:count]]


def portraits(path: Path) -> list[bytes]:
    """JPEG pictures to enrol the person of a clip from."""
    frames = read_clip(path, 0, max(_ENROLLED) + 1)
    return [encode_jpeg(_scaled(frames[index]), _QUALITY) for index in _ENROLLED]


def ping_pong(length: int, position: int) -> int:
    """The index at `position` of a walk to and fro, which continues a clip endlessly without a jump.

    >>> [ping_pong(3, position) for position in range(6)]
    [0, 1, 2, 1, 0, 1]
    """
    if length == 1:
        return 0
    phase = position % (2 * (length - 1))
    return min(phase, 2 * (length - 1) - phase)


class Camera:
    """A clip sent frame by frame, slower than recorded: sessions end before it turns back, which they would detect as a
    replay."""

    def __init__(self, messages: Sequence[bytes], chance: random.Random) -> None:
        self._messages = messages
        self._chance = chance
        self._position = 0

    def rewind(self) -> None:
        """Go to one of the first frames, for a new session."""
        self._position = self._chance.randrange(max(1, len(self._messages) // 10))

    def shoot(self) -> bytes:
        """The next frame as a WebSocket message."""
        index = ping_pong(len(self._messages), self._position)
        self._position += 1
        return self._messages[index]


@cache
def _messages(path: Path) -> list[bytes]:
    return [client_frame(BINARY, jpeg) for jpeg in jpegs(path)]


def jpegs(path: Path) -> list[bytes]:
    """The frames of a clip as the JPEGs that clients send."""
    return [encode_jpeg(_scaled(frame), _QUALITY) for frame in read_clip(path, 0, _LENGTH)]


def _scaled(frame: RgbImage) -> RgbImage:
    height, width = frame.shape[:2]
    factor = math.sqrt(PIXELS / (height * width))
    size = (round(width * factor), round(height * factor))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR), np.uint8)

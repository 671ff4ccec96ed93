"""Real people moving, as a simulated camera sends them: windows of clips with new framing and light."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from core.types import RgbImage
from testkit.attacks.people import Clip, Mover, Window, frames_of
from testkit.attacks.stage.camera import Camera
from testkit.attacks.stage.stream import FPS, NEUTRAL, Frames, Takes, generator

_NEUTRAL_FRAMES = 40
_TIMES = {"blink": 3}
"""Repetitions of an action. A blink lasts a tenth of a second: a person repeats it until it is seen."""


@dataclass(frozen=True, slots=True)
class Framing:
    """The part of the picture that is sent (left, top, width, height in pixels), and its width after scaling."""

    part: tuple[int, int, int, int]
    width: int

    @classmethod
    def draw(cls, rng: np.random.Generator, clip: Clip, frame: RgbImage) -> Framing:
        """Draw a framing around the whole face, which becomes 90 to 330 pixels wide as far as the clip allows."""
        height, width = frame.shape[:2]
        share = float(rng.uniform(max(0.7, min(1.0, 1.7 * clip.face_height)), 1.0))
        part_width, part_height = int(width * share), int(height * share)
        left = int(np.clip(clip.face_x * width - part_width / 2, 0, width - part_width))
        top = int(np.clip((clip.face_y - 0.04) * height - part_height / 2, 0, height - part_height))
        wide = int(np.clip(part_width * rng.uniform(0.7, 1.6), 320, 720))
        return cls((left, top, part_width, part_height), wide // 2 * 2)

    def apply(self, frame: RgbImage) -> RgbImage:
        left, top, width, height = self.part
        cut = frame[top : top + height, left : left + width]
        size = self.width, round(height * self.width / width)
        method = cv2.INTER_AREA if self.width < width else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(cut, size, interpolation=method), np.uint8)


def window(clip: Clip, start_s: float, seconds: float, *, tempo: float = 1.0, around: bool = False) -> list[int]:
    """Indices of the clip's frames that a camera of FPS captures from `start_s` on; `around`: the clip repeats."""
    count = int(seconds * FPS)
    indices = [int((start_s + at * tempo / FPS) * clip.fps + 1e-6) for at in range(count)]
    if around:
        return [index % clip.frames for index in indices]
    return [index for index in indices if index < clip.frames]


def filmed(clip: Clip, indices: Sequence[int], *identity: object) -> Frames:
    """The frames through the framing and camera drawn for `identity`."""

    def frames() -> Iterator[RgbImage]:
        rng = generator("filmed", clip.name, *identity)
        pictures = frames_of(clip, indices)
        framing, camera = Framing.draw(rng, clip, pictures[0]), Camera.draw(rng)
        return captured((framing.apply(picture) for picture in pictures), camera, rng)

    return frames


def captured(pictures: Iterable[RgbImage], camera: Camera, rng: np.random.Generator) -> Iterator[RgbImage]:
    return (camera.capture(picture, rng) for picture in pictures)


def takes_of(mover: Mover, *identity: object) -> Takes:
    """The person's takes, cut from the clip; all with the same framing and light."""
    clip, rng = mover.actor, generator("takes", mover.person, *identity)
    takes = {}
    for action, windows in clip.takes.items():
        indices = _neutral(clip, windows) if action == NEUTRAL else _take(clip, [*windows] * _TIMES.get(action, 1), rng)
        takes[action] = filmed(clip, indices, *identity)
    return takes


def _take(clip: Clip, windows: Sequence[Window], rng: np.random.Generator) -> list[int]:
    """Frames of the windows in random order, sampled at FPS with a random phase."""
    step = clip.fps / FPS
    return [
        int(at)
        for number in rng.permutation(len(windows))
        for at in np.arange(windows[number][0] + rng.uniform(0, step), windows[number][1], step)
    ]


def _neutral(clip: Clip, windows: Sequence[Window]) -> list[int]:
    """Every frame of the longest neutral window, to and fro: the clips have few neutral frames."""
    there = list(range(*max(windows, key=lambda span: span[1] - span[0])))
    back_and_forth = there + there[-2:0:-1]
    return [back_and_forth[at % len(back_and_forth)] for at in range(_NEUTRAL_FRAMES)]

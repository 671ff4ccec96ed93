"""A portrait that has rehearsed every action, so that a challenge can be answered without rendering."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Self

import numpy as np

from core.face_mesh import FaceMesh
from core.types import RgbImage
from testkit.attacks.stage.camera import Camera
from testkit.clips import encode_jpeg
from testkit.faces.expressions import ACTIONS, Action
from testkit.faces.portrait import Portrait, framed, perform


@dataclass(frozen=True, slots=True)
class Performer:
    """What one portrait can show: `takes` of each action, from rest to rest, and one of `rest` alone."""

    takes: dict[Action, list[RgbImage]]
    rest: list[RgbImage]

    @classmethod
    def rehearse(cls, rgb: RgbImage, mesh: FaceMesh, fps: float) -> Self:
        """All in one performance, so that a portrait that smiles is relaxed in every take alike."""
        performance = perform(Portrait(framed(rgb, mesh), mesh), [act for act in ACTIONS if act != "rest"], fps)
        parts = [
            (action, [frame for frame, _ in part])
            for action, part in groupby(performance, lambda shown: shown[1].action)
        ]
        rests = [frames for _, frames in parts[::2]]
        half = len(rests[0]) // 2
        takes = {
            action: before[half:] + _quick(action, frames) + after[:half]
            for (before, after), (action, frames) in zip(pairwise(rests), parts[1::2], strict=True)
        }
        return cls(takes, rests[0])


def _quick(action: Action, frames: list[RgbImage]) -> list[RgbImage]:
    """A blink must be over within a second, even where a slow machine takes three frames in it."""
    return frames[::2] if action == "blink" else frames


def filmed(frames: Iterable[RgbImage]) -> Iterator[bytes]:
    """As a camera sends them: a sensor's noise is new in every frame."""
    camera, sensor = Camera(), np.random.default_rng()
    return (encode_jpeg(camera.capture(frame, sensor)) for frame in frames)

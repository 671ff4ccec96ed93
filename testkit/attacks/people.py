"""The people in the streams, from clips and photographs; the split is fixed by name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from core.types import RgbImage
from testkit.clips import GRID_CLIPS, SHARED_DATA, read_image

Split = Literal["tuning", "test"]

_SALT = "70"
"""Salt of the split: the first whole number that halves both the six GRID and the six other moving people, and puts
people who turn, smile and open the mouth into both halves. Chosen before any attack was measured."""

PHOTO_FACE = 0.52
_RIM = 0.09

Window = tuple[int, int]
"""First and last frame of a clip, the last not included."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A video of one person. Places are those of the mean mesh box, as shares of the (cropped) frame."""

    name: str
    fps: float
    frames: int
    face_x: float
    face_y: float
    face_height: float
    takes: Mapping[str, Sequence[Window]] = field(default_factory=dict)
    """Windows that show one action alone, from and back to the neutral face where the clip allows; and `neutral`.

    Measured with the project's own mesh and action cues; combinations that those cannot see,
    such as a turn with a smile, are missing.
    """
    rows: tuple[int, int] | None = None
    """The rows of a tall picture that are used; None: all."""

    @property
    def path(self) -> Path:
        folder, suffix = ("grid", "mpg") if self.fps == 25.0 and self.frames == 75 else ("live", "mp4")
        return SHARED_DATA / folder / f"{self.name}.{suffix}"

    @property
    def seconds(self) -> float:
        return self.frames / self.fps


@dataclass(frozen=True, slots=True)
class Mover:
    """A person with clips that show movement."""

    person: str
    clips: tuple[Clip, ...]

    @property
    def actor(self) -> Clip:
        """The clip that shows the most actions."""
        return max(self.clips, key=lambda clip: len(clip.takes))


_LIVE_CLIPS = (
    Clip("d0", 25.0, 78, 0.50, 0.59, 0.54, {"neutral": [(0, 17)], "smile": [(8, 77)]}),
    Clip(
        "d3",
        30.0,
        354,
        0.54,
        0.65,
        0.65,
        {
            "neutral": [(33, 47)],
            "blink": [(36, 57), (34, 70)],
            "turn_left": [(236, 300)],
            "turn_right": [(0, 40)],
            "open_mouth": [(280, 340)],
        },
    ),
    Clip(
        "d10",
        30.0,
        448,
        0.48,
        0.56,
        0.57,
        {
            "neutral": [(204, 220), (226, 270)],
            "blink": [(214, 234), (324, 345)],
            "open_mouth": [(88, 130)],
        },
    ),
    Clip(
        "d12",
        25.0,
        183,
        0.50,
        0.54,
        0.50,
        {
            "neutral": [(0, 15), (138, 150)],
            "blink": [(134, 147)],
            "turn_right": [(74, 106)],
            "smile": [(8, 30), (96, 116)],
            "open_mouth": [(116, 142)],
        },
    ),
    Clip(
        "d14",
        30.0,
        536,
        0.47,
        0.62,
        0.59,
        {
            "neutral": [(290, 340), (376, 430)],
            "blink": [(276, 298), (338, 358), (362, 384), (448, 470)],
            "smile": [(100, 180)],
        },
    ),
    Clip(
        "s20",
        30.0,
        297,
        0.38,
        0.42,
        0.27,
        {"neutral": [(90, 165)], "blink": [(60, 90), (166, 190), (204, 232), (250, 280)]},
        rows=(40, 640),
    ),
)
_GRID_TAKES: Mapping[str, Mapping[str, Sequence[Window]]] = {
    "lrwp9a": {"neutral": [(57, 71)], "open_mouth": [(5, 28)], "blink": [(62, 75)]},
    "brbk7n": {"neutral": [(48, 75)], "smile": [(22, 46)], "blink": [(14, 30)]},
}
_GRID_FACES = {
    "bbaf2n": (0.43, 0.62),
    "brbk7n": (0.48, 0.67),
    "lbax4n": (0.51, 0.60),
    "lrwp9a": (0.52, 0.64),
    "pwij3p": (0.52, 0.64),
    "id2_vcd_swwp2s": (0.52, 0.64),
    "sbia1a": (0.51, 0.62),
}


def split_of(person: str) -> Split:
    return "test" if hashlib.sha256(f"{_SALT}:{person}".encode()).digest()[0] % 2 else "tuning"


def movers(split: Split) -> list[Mover]:
    """The six moving people of the half, by name; a GRID speaker with two clips counts once."""
    everyone = [Mover(clip.name, (clip,)) for clip in _LIVE_CLIPS]
    for speaker in sorted({clip.speaker for clip in GRID_CLIPS}):
        names = [clip.name for clip in GRID_CLIPS if clip.speaker == speaker]
        everyone.append(Mover(speaker, tuple(_grid_clip(name) for name in names)))
    return sorted((m for m in everyone if split_of(m.person) == split), key=lambda m: m.person)


def actors(split: Split) -> list[Mover]:
    """The moving people whose clips show at least two different actions."""
    return [mover for mover in movers(split) if len(mover.actor.takes) > 2]


def _grid_clip(name: str) -> Clip:
    x, y = _GRID_FACES[name]
    return Clip(name, 25.0, 75, x, y, 0.48, _GRID_TAKES.get(name, {}))


@cache
def photographed(split: Split) -> tuple[str, ...]:
    """The people of Labeled Faces in the Wild, in a fixed order that is not alphabetical."""
    names = [folder.name for folder in (SHARED_DATA / "lfw" / "images").iterdir()]
    half = (name for name in names if split_of(name) == split)
    return tuple(sorted(half, key=lambda name: hashlib.sha256(name.encode()).digest()))


def photograph(person: str) -> RgbImage:
    """The person's first picture, the face in the middle and about PHOTO_FACE of its height.

    Its rim is cut off: the corpus rotates pictures upright and fills the corners with black.
    """
    picture = read_image(min((SHARED_DATA / "lfw" / "images" / person).glob("*.jpg")))
    rim = round(_RIM * picture.shape[0])
    return np.ascontiguousarray(picture[rim:-rim, rim:-rim])


def frames_of(clip: Clip, indices: Sequence[int]) -> list[RgbImage]:
    """The named frames of a clip, in the order named; one that is named twice is decoded once."""
    wanted = set(indices)
    capture = cv2.VideoCapture(str(clip.path))
    found: dict[int, RgbImage] = {}
    try:
        for index in range(max(wanted) + 1):
            if not capture.grab():
                break
            if index in wanted:
                found[index] = _cropped(np.asarray(capture.retrieve()[1], np.uint8), clip)
    finally:
        capture.release()
    if not found:
        raise FileNotFoundError(f"no frames in {clip.path}")
    last = max(found)
    return [found[min(index, last)] for index in indices]


def _cropped(bgr: RgbImage, clip: Clip) -> RgbImage:
    rows = slice(*clip.rows) if clip.rows is not None else slice(None)
    return np.ascontiguousarray(bgr[rows, :, ::-1])

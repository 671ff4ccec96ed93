"""Values computed of a face, without OpenCV. The modules beside this one compute them, and load it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocabulary.faces import Issue

Appearance = npt.NDArray[np.float32]
"""(SIZE,), of unit length: the fine structure of an aligned crop. The dot product of two is their correlation."""

PLAINLY_THE_SAME = 0.9
"""Least correlation of one person's appearances. Highest of 1.1 million pairs of different people in Labeled Faces in
the Wild: 0.83; of twelve filmed people: 0.82. Median of a quiet person's frames, half a second apart: 0.98."""

SkinSamples = npt.NDArray[np.uint8]
"""(n,): brightness at SKIN_POINTS, 1..255; 0 for a landmark outside the aligned crop."""

THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT = 80, 60

Thumbnail = npt.NDArray[np.uint8]
"""(60, 80): the frame's brightness, resized without keeping its proportions."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality of a face. `score`: 0..1, the worst of its parts. `sharpness`: relative, larger is sharper."""

    score: float
    issues: tuple[Issue, ...]
    sharpness: float


NOBODY = Quality(0.0, (Issue.NO_FACE,), 0.0)


@dataclass(frozen=True, slots=True)
class FrameSamples:
    """Samples of a frame that the skin cue and the body cue compare between frames."""

    skin: SkinSamples
    thumbnail: Thumbnail


def plainly_the_same(one: Appearance, other: Appearance) -> bool:
    """Whether two appearances are certainly of one face, so that no embedding is needed."""
    return float(one @ other) >= PLAINLY_THE_SAME

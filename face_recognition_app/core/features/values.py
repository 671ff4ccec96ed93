"""What is computed of a face, as plain values. The modules beside this one compute them, and load OpenCV for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vocabulary.faces import Issue

Appearance = npt.NDArray[np.float32]
"""(SIZE,), of unit length: the fine structure of an aligned crop; the product of two is their correlation."""

PLAINLY_THE_SAME = 0.9
"""Correlation. Of 1.1 million pairs of pictures of different people (Labeled Faces in the Wild) the highest is 0.83, of
all pairs of frames of twelve filmed people 0.82; of frames of a quiet person, half a second apart, half reach 0.98."""

SkinSamples = npt.NDArray[np.uint8]
"""(n,): brightness at SKIN_POINTS, 1..255; 0 where the place lies outside the aligned crop."""

THUMBNAIL_WIDTH, THUMBNAIL_HEIGHT = 80, 60

Thumbnail = npt.NDArray[np.uint8]
"""(60, 80): the frame's brightness, squeezed to this size whatever its proportions."""


@dataclass(frozen=True, slots=True)
class Quality:
    """`score` 0..1, the worst of the parts; `sharpness` is relative, larger is sharper."""

    score: float
    issues: tuple[Issue, ...]
    sharpness: float


NOBODY = Quality(0.0, (Issue.NO_FACE,), 0.0)


@dataclass(frozen=True, slots=True)
class Traces:
    """What the frame shows beside the landmarks of its most prominent face: skin, shoulders, walls."""

    skin: SkinSamples
    thumbnail: Thumbnail


def plainly_the_same(one: Appearance, other: Appearance) -> bool:
    """Whether two appearances are so alike that no embedding is needed to tell that it is one face."""
    return float(one @ other) >= PLAINLY_THE_SAME

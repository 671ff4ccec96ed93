"""Which face of several is meant: the plainly most prominent one, or none."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.face_mesh import prominence
from core.types import Box, MeshFace, RgbImage

PLAINLY_WIDER = 2.0
PLAINLY_MORE_PROMINENT = 4.0
IN_THE_MIDDLE, OUT_OF_THE_MIDDLE = 0.35, 0.45
TIMES_FARTHER = 2.0
"""Distances from the picture's middle of the face that is meant and of another, as large as it may be, in widths of
the first; and how much farther the other is at least. Of 203 pictures of Labeled Faces in the Wild with several faces,
which show one person each, all keep to it."""
SECOND_FACE_AREA = 0.35
"""Largest area of a second face, over that of the first, that is not refused where bystanders are refused."""


def is_ambiguous(faces: Sequence[MeshFace], boxes: Sequence[Box], rgb: RgbImage, *, refuse_bystanders: bool) -> bool:
    """Whether another face than the first, the most prominent one, may be meant. `boxes`: one for each face.

    The first is plainly meant when each other is half as wide or less, a quarter as prominent, or beside the middle, in
    which the first is.
    """
    others = range(1, len(faces))
    if refuse_bystanders:
        return any(boxes[other].area > SECOND_FACE_AREA * boxes[0].area for other in others)
    first = prominence(faces[0], rgb) if len(faces) > 1 else 0.0
    return not all(
        boxes[0].width >= PLAINLY_WIDER * boxes[other].width
        or first >= PLAINLY_MORE_PROMINENT * prominence(faces[other], rgb)
        or _is_in_the_middle(boxes[0], boxes[other], rgb)
        for other in others
    )


def _is_in_the_middle(first: Box, other: Box, rgb: RgbImage) -> bool:
    unit = first.width * rgb.shape[1]
    mine, its = (_from_the_middle(box, rgb) / unit for box in (first, other))
    return bool(mine <= IN_THE_MIDDLE and its >= max(OUT_OF_THE_MIDDLE, TIMES_FARTHER * mine))


def _from_the_middle(box: Box, rgb: RgbImage) -> float:
    """Distance of the box's centre from the picture's, in pixels."""
    height, width = rgb.shape[:2]
    return math.hypot((box.x + box.width / 2 - 0.5) * width, (box.y + box.height / 2 - 0.5) * height)

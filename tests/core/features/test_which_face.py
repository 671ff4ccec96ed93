"""The plainly most prominent face is meant; where two could be, none is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.features.quality import face_box
from core.features.which_face import is_ambiguous
from core.types import MeshFace, Pose

FRAME = np.zeros((480, 640, 3), np.uint8)
HEAD = MeshFace(np.zeros((478, 3), np.float32), Pose(0, 0, 0), 0, 0, 0, 0)


def face(x: float, y: float, width: float) -> MeshFace:
    """A face as high as it is wide, about that point."""
    points = np.zeros((478, 3), np.float32)
    points[:4, :2] = [(x - width / 2, y - width / 2), (x + width / 2, y + width / 2), (x, y), (x, y)]
    points[4:, :2] = (x, y)
    return replace(HEAD, points=points)


def ambiguous(*faces: MeshFace, refuse_bystanders: bool = False) -> bool:
    boxes = [face_box(one, FRAME) for one in faces]
    return is_ambiguous(faces, boxes, FRAME, refuse_bystanders=refuse_bystanders)


MIDDLE = face(320, 240, 200)


def test_one_face_is_meant() -> None:
    assert not ambiguous(MIDDLE)
    assert not ambiguous(MIDDLE, refuse_bystanders=True)


@pytest.mark.parametrize(
    ("other", "unclear"),
    [
        (face(520, 240, 199), False),
        (face(400, 240, 199), True),
        (face(320, 320, 199), True),
        (face(520, 240, 120), False),
        (face(520, 240, 100), False),
        (face(320, 240, 100), False),
        (face(320, 240, 130), True),
        (face(60, 60, 190), False),
    ],
)
def test_the_larger_and_the_nearer_to_the_middle_is_meant(other: MeshFace, unclear: bool) -> None:
    assert ambiguous(MIDDLE, other) is unclear
    assert ambiguous(MIDDLE, face(600, 400, 30), other) is unclear


def test_of_two_beside_each_other_neither_is_meant() -> None:
    assert ambiguous(face(210, 240, 200), face(430, 240, 190))
    assert ambiguous(face(250, 240, 200), face(470, 240, 150))


def test_who_refuses_bystanders_ignores_only_small_ones() -> None:
    assert ambiguous(MIDDLE, face(60, 60, 119), refuse_bystanders=True)
    assert not ambiguous(MIDDLE, face(60, 60, 117), refuse_bystanders=True)

"""Paper and displays show their edges around a face; a portrait does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from core.face_mesh import FaceMesh
from core.traces.border import border_strength
from core.types import RgbImage
from tools.clips import astronaut, grace_hopper
from tools.portrait import framed

PORTRAITS = [astronaut, grace_hopper]
SHEET = (120, 40, 400, 400)
"""Left, top, width and height of what is held up."""


def held_up(rgb: RgbImage, mesh: FaceMesh, shade: int, wall: int, lean_deg: float) -> RgbImage:
    """A photograph on a sheet before a plain wall."""
    scene = np.full((480, 640, 3), wall, np.uint8)
    left, top, width, height = SHEET
    scene[top : top + height, left : left + width] = shade
    scene[top + 30 : top + 370, left + 50 : left + 350] = framed(rgb, mesh, (300, 340))
    leaning = cv2.getRotationMatrix2D((320, 240), lean_deg, 1.0)
    return np.asarray(cv2.warpAffine(scene, leaning, (640, 480), borderValue=(wall,) * 3), np.uint8)


def strength(rgb: RgbImage, mesh: FaceMesh) -> float:
    return border_strength(rgb, mesh.process(rgb)[0])


@pytest.mark.parametrize("portrait", PORTRAITS)
def test_a_portrait_shows_no_border(portrait: Callable[[], RgbImage], mesh: FaceMesh) -> None:
    assert strength(portrait(), mesh) < 0.5
    assert strength(framed(portrait(), mesh), mesh) < 0.5


@pytest.mark.parametrize("lean_deg", [0.0, 8.0, -15.0])
@pytest.mark.parametrize(("shade", "wall"), [(30, 170), (20, 90), (240, 100)], ids=["dark", "dim", "white"])
@pytest.mark.parametrize("portrait", PORTRAITS)
def test_a_photograph_that_is_held_up_does(
    portrait: Callable[[], RgbImage], shade: int, wall: int, lean_deg: float, mesh: FaceMesh
) -> None:
    assert strength(held_up(portrait(), mesh, shade, wall, lean_deg), mesh) >= 0.5


def test_one_line_beside_the_face_is_a_door_and_no_border(mesh: FaceMesh, hopper_rgb: RgbImage) -> None:
    before_a_door = framed(hopper_rgb, mesh)
    alone = strength(before_a_door, mesh)
    before_a_door[:, :60] = 20
    assert strength(before_a_door, mesh) == pytest.approx(alone, abs=0.1)
    before_a_door[:, -60:] = 20
    assert strength(before_a_door, mesh) >= 0.5


def test_lines_in_the_face_are_none_around_it(mesh: FaceMesh, hopper_rgb: RgbImage) -> None:
    picture = framed(hopper_rgb, mesh)
    (face,) = mesh.process(picture)
    low, high = face.points[:, :2].min(axis=0), face.points[:, :2].max(axis=0)
    wide = replace(face, points=(face.points - face.points.mean(axis=0)) * 3 + face.points.mean(axis=0))
    cv2.rectangle(picture, low.astype(int).tolist(), high.astype(int).tolist(), (0, 0, 0), 3)
    assert border_strength(picture, wide) < 0.2


def test_a_picture_without_any_line_has_no_border(mesh: FaceMesh, good_picture: RgbImage) -> None:
    (face,) = mesh.process(good_picture)
    assert border_strength(np.full_like(good_picture, 128), face) == 0.0

"""A face looks the same as a moment ago, and no other face does."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from core.face_mesh import FaceMesh
from core.features.appearance import SIZE, appearance
from core.features.values import Appearance, plainly_the_same
from core.imaging.alignment import align
from core.types import RgbImage
from testkit.clips import GRID_CLIPS, SHARED_DATA, read_clip, read_image
from testkit.faces.expressions import Expression
from testkit.faces.portrait import Portrait
from tests.conftest import needs_shared_data
from tests.core.pictures import shifted


def seen(mesh: FaceMesh, rgb: RgbImage) -> Appearance:
    return appearance(align(rgb, mesh.process(rgb)[0]).crop)


def test_it_is_a_unit_vector_whatever_the_light(mesh: FaceMesh, good_picture: RgbImage) -> None:
    bright, dark = seen(mesh, good_picture), seen(mesh, np.asarray(good_picture * 0.6, np.uint8))
    assert bright.shape == (SIZE,)
    assert abs(np.linalg.norm(bright) - 1) < 1e-4
    assert plainly_the_same(bright, dark)


def test_it_stays_the_same_where_the_face_moves_and_changes_where_it_turns(
    mesh: FaceMesh, good_picture: RgbImage, portrait: Portrait
) -> None:
    before = seen(mesh, good_picture)
    assert plainly_the_same(seen(mesh, shifted(good_picture, 40, -25)), before)
    assert not plainly_the_same(seen(mesh, portrait.render(Expression(yaw_deg=25.0))), before)


def test_a_plain_surface_is_like_nothing() -> None:
    flat = appearance(np.full((112, 112, 3), 90, np.uint8))
    assert not plainly_the_same(flat, flat)


def test_another_person_is_never_plainly_the_same(mesh: FaceMesh, good_picture: RgbImage, hopper_rgb: RgbImage) -> None:
    assert not plainly_the_same(seen(mesh, good_picture), seen(mesh, hopper_rgb))


@needs_shared_data
def test_of_many_people_no_two_are_plainly_the_same(mesh: FaceMesh) -> None:
    pictures = sorted((SHARED_DATA / "lfw" / "images").glob("*/*_0001.jpg"))[::12]
    frames = [read_image(path) for path in pictures]
    frames += [read_clip(clip.path, 0, 1)[0] for clip in GRID_CLIPS if clip.name != "id2_vcd_swwp2s"]
    people = [seen(mesh, rgb) for rgb in frames if mesh.process(rgb)]
    assert len(people) > 100
    assert not any(plainly_the_same(one, other) for one, other in combinations(people, 2))

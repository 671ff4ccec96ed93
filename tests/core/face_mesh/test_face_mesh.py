"""The mesh sees real faces, the most prominent first, and remembers nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.face_mesh import FaceMesh, mesh_factory
from core.types import MeshFace, RgbImage
from testkit.faces.expressions import Expression
from testkit.faces.portrait import Portrait
from tests.core.pictures import shifted
from tests.models import mesh_models


@pytest.fixture(scope="session", params=["openvino", "mediapipe"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def mesh(backend: str, model_dir: Path) -> Iterator[FaceMesh]:
    mesh = mesh_factory(backend, mesh_models(model_dir))()
    yield mesh
    mesh.close()


def rotated(rgb: RgbImage, clockwise_deg: float) -> RgbImage:
    size = (rgb.shape[1], rgb.shape[0])
    transform = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), -clockwise_deg, 1.0)
    return np.asarray(cv2.warpAffine(rgb, transform, size, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def same(one: MeshFace, other: MeshFace) -> bool:
    measures = ("pose", "blink_left", "blink_right", "smile", "jaw_open")
    return np.array_equal(one.points, other.points) and all(getattr(one, m) == getattr(other, m) for m in measures)


def test_a_face_has_478_points_in_pixels_of_the_frame(mesh: FaceMesh, good_picture: RgbImage) -> None:
    (face,) = mesh.process(good_picture)
    assert face.points.shape == (478, 3)
    assert face.points.dtype == np.float32
    assert face.points[:, :2].min(axis=0) == pytest.approx((226, 130), abs=12)
    assert face.points[:, :2].max(axis=0) == pytest.approx((413, 350), abs=12)
    right_eye, left_eye, nose, mouth = (face.points[index] for index in (468, 473, 1, 13))
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_eye[1] < nose[1] < mouth[1]
    assert nose[2] < right_eye[2]


def test_points_move_with_the_face(mesh: FaceMesh, good_picture: RgbImage) -> None:
    before = mesh.process(good_picture)[0].points[:, :2]
    after = mesh.process(shifted(good_picture, 90, -40))[0].points[:, :2]
    assert np.abs(after - before - (90, -40)).mean() < 3


def test_points_grow_with_the_picture(mesh: FaceMesh, good_picture: RgbImage) -> None:
    large = np.asarray(cv2.resize(good_picture, (1280, 960)), np.uint8)
    assert np.abs(mesh.process(large)[0].points - 2 * mesh.process(good_picture)[0].points).mean() < 4


def test_one_frame_leaves_nothing_behind_for_the_next(
    backend: str, mesh: FaceMesh, model_dir: Path, good_picture: RgbImage, hopper_rgb: RgbImage
) -> None:
    fresh = mesh_factory(backend, mesh_models(model_dir))()
    alone = fresh.process(hopper_rgb)[0]
    fresh.close()
    for other in (good_picture, shifted(hopper_rgb, 30, 10), np.zeros_like(good_picture)):
        mesh.process(other)
        assert same(mesh.process(hopper_rgb)[0], alone)


def test_the_largest_face_comes_first_wherever_it_stands(mesh: FaceMesh, good_picture: RgbImage) -> None:
    person = good_picture[60:420, 200:440]
    far = np.asarray(cv2.resize(person, (120, 180), interpolation=cv2.INTER_AREA), np.uint8)
    far = np.asarray(cv2.copyMakeBorder(far, 90, 90, 40, 40, cv2.BORDER_REPLICATE), np.uint8)
    for picture, large_is_left in ((np.hstack([person, far]), True), (np.hstack([far, person]), False)):
        faces = mesh.process(picture)
        assert len(faces) == 2
        first, second = (np.ptp(face.points[:, 0]) for face in faces)
        assert first > 1.5 * second
        assert (faces[0].points[1, 0] < faces[1].points[1, 0]) == large_is_left


def test_of_two_alike_the_one_nearer_to_the_middle_comes_first(mesh: FaceMesh, good_picture: RgbImage) -> None:
    person = good_picture[60:420, 200:440]
    rest = np.full((360, 160, 3), person.mean(), np.uint8)
    for picture, middle_is_left in (
        (np.hstack([rest, person, person]), True),
        (np.hstack([person, person, rest]), False),
    ):
        faces = mesh.process(picture)
        assert len(faces) == 2
        assert (faces[0].points[1, 0] < faces[1].points[1, 0]) == middle_is_left


def test_no_face_is_an_empty_list(mesh: FaceMesh, good_picture: RgbImage) -> None:
    assert mesh.process(np.zeros_like(good_picture)) == []
    assert mesh.process(np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)) == []
    assert mesh.process(good_picture[:100]) == []


def test_a_frame_of_any_layout_is_read_alike(mesh: FaceMesh, good_picture: RgbImage) -> None:
    window = np.pad(good_picture, ((5, 5), (7, 7), (0, 0)))[5:-5, 7:-7]
    assert not window.flags.c_contiguous
    assert same(mesh.process(window)[0], mesh.process(good_picture)[0])


def test_red_and_blue_are_told_apart(mesh: FaceMesh, good_picture: RgbImage) -> None:
    swapped = np.ascontiguousarray(good_picture[:, :, ::-1])
    assert not same(mesh.process(swapped)[0], mesh.process(good_picture)[0])


def test_roll_is_positive_when_the_head_leans_to_its_own_left(mesh: FaceMesh, good_picture: RgbImage) -> None:
    upright = mesh.process(good_picture)[0].pose.roll
    for degrees in (-30.0, 30.0):
        assert mesh.process(rotated(good_picture, degrees))[0].pose.roll - upright == pytest.approx(degrees, abs=5)


def test_yaw_is_positive_when_the_head_turns_to_its_own_left(mesh: FaceMesh, portrait: Portrait) -> None:
    """To its own left is to the right of the picture: there the tip of the nose goes."""
    ahead, turned = (mesh.process(portrait.render(Expression(yaw_deg=yaw)))[0] for yaw in (0.0, 25.0))
    assert turned.pose.yaw - ahead.pose.yaw > 15
    assert turned.points[1, 0] - ahead.points[1, 0] > 10


def test_pitch_is_positive_when_the_head_looks_up(mesh: FaceMesh, portrait: Portrait) -> None:
    ahead, up = (mesh.process(portrait.render(Expression(pitch_deg=pitch)))[0] for pitch in (0.0, 15.0))
    assert up.pose.pitch - ahead.pose.pitch > 8


def test_each_eye_is_the_persons_own(mesh: FaceMesh, portrait: Portrait, good_picture: RgbImage) -> None:
    both = portrait.render(Expression(blink=1.0))
    left_only = good_picture.copy()
    nose = int(mesh.process(good_picture)[0].points[1, 0])
    left_only[:, nose:] = both[:, nose:]
    face = mesh.process(left_only)[0]
    assert face.blink_left > 0.45 > 0.35 > face.blink_right


def test_a_smile_and_an_open_mouth_are_measured(mesh: FaceMesh, portrait: Portrait) -> None:
    relaxed = mesh.process(portrait.render(portrait.relaxed))[0]
    assert mesh.process(portrait.render(Expression(smile=1.0)))[0].smile - relaxed.smile > 0.3
    assert mesh.process(portrait.render(Expression(jaw=1.0)))[0].jaw_open - relaxed.jaw_open > 0.3


def test_an_unknown_backend_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'magic'"):
        mesh_factory("magic", mesh_models(tmp_path))

"""Transforms and angles, against ones that are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.geometry import Matrix, pose_from_rotation, similarity_transform
from core.types import Points

FACE = np.array([[38, 52], [74, 51], [56, 72], [41, 92], [71, 92]], np.float32)


def similarity(angle_deg: float, scale: float, shift: tuple[float, float]) -> Matrix:
    c, s = np.cos(np.radians(angle_deg)) * scale, np.sin(np.radians(angle_deg)) * scale
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def applied(transform: Matrix, points: Points) -> Points:
    return (points @ transform[:, :2].T + transform[:, 2]).astype(np.float32)


def about(axis: tuple[float, float, float], degrees: float) -> Matrix:
    return np.asarray(cv2.Rodrigues(np.array(axis) * np.radians(degrees))[0], np.float64)


@given(
    angle=st.floats(-180, 180),
    scale=st.floats(0.05, 20),
    x=st.floats(-500, 500),
    y=st.floats(-500, 500),
)
def test_a_known_similarity_is_recovered(angle: float, scale: float, x: float, y: float) -> None:
    known = similarity(angle, scale, (x, y))
    found = similarity_transform(FACE, applied(known, FACE))
    assert np.allclose(applied(found, FACE), applied(known, FACE), atol=0.01)
    assert np.allclose(found[:, :2], known[:, :2], atol=1e-3 * scale)


def test_a_mirrored_face_is_never_reflected() -> None:
    found = similarity_transform(FACE, FACE * np.array([-1, 1], np.float32))
    assert np.linalg.det(found[:, :2]) > 0
    assert found[0, 0] == pytest.approx(found[1, 1])
    assert found[0, 1] == pytest.approx(-found[1, 0])


def test_one_bad_point_moves_the_fit_only_as_least_squares_does() -> None:
    target = FACE.copy()
    target[2] += (5, -3)
    found = similarity_transform(FACE, target)
    error = ((applied(found, FACE) - target) ** 2).sum()
    for nudge in (similarity(1, 1, (0, 0)), similarity(0, 1.01, (0, 0)), similarity(0, 1, (0.5, 0))):
        assert ((applied(nudge, applied(found, FACE)) - target) ** 2).sum() > error


def test_points_on_one_spot_do_not_break_it() -> None:
    assert np.isfinite(similarity_transform(np.ones((5, 2), np.float32), FACE)).all()


def test_a_face_that_looks_into_the_camera_has_no_angles() -> None:
    pose = pose_from_rotation(np.eye(3))
    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((0, 0, 0))


@pytest.mark.parametrize("degrees", [-40.0, -10.0, 10.0, 40.0])
def test_each_angle_has_its_sign_and_size(degrees: float) -> None:
    """Camera axes: x to the right of the picture, where the person's own left is; y up; z to the camera."""
    assert pose_from_rotation(about((0, 1, 0), degrees)).yaw == pytest.approx(degrees)
    assert pose_from_rotation(about((-1, 0, 0), degrees)).pitch == pytest.approx(degrees)
    assert pose_from_rotation(about((0, 0, -1), degrees)).roll == pytest.approx(degrees)


def test_angles_do_not_leak_into_each_other() -> None:
    yawed = pose_from_rotation(about((0, 1, 0), 30))
    assert (yawed.pitch, yawed.roll) == pytest.approx((0, 0))
    rolled = pose_from_rotation(about((0, 0, 1), 30))
    assert (rolled.yaw, rolled.pitch) == pytest.approx((0, 0))

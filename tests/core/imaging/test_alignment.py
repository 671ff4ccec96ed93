"""Crops show the face where the networks expect it, wherever it stands in the picture."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from core.imaging.alignment import align, square_crop
from core.types import MeshFace, RgbImage
from tests.core.pictures import moved

EYES_NOSE_MOUTH = [468, 473, 1, 61, 291]


def marked(rgb: RgbImage, face: MeshFace, index: int) -> RgbImage:
    picture = np.zeros_like(rgb)
    x, y = face.points[index, :2]
    cv2.circle(picture, (round(x), round(y)), 4, (255, 255, 255), -1)
    return picture


def test_eyes_nose_and_mouth_stand_at_their_places(good_picture: RgbImage, face: MeshFace) -> None:
    expected = [(38.3, 51.7), (73.5, 51.5), (56.0, 71.7), (41.5, 92.4), (70.7, 92.2)]
    for index, place in zip(EYES_NOSE_MOUTH, expected, strict=True):
        crop = align(marked(good_picture, face, index), face).crop[:, :, 0].astype(float)
        rows, columns = np.mgrid[:112, :112]
        centre = ((columns * crop).sum() / crop.sum(), (rows * crop).sum() / crop.sum())
        assert np.hypot(centre[0] - place[0], centre[1] - place[1]) < 8


def test_the_aligned_crop_is_the_same_wherever_the_face_stands(good_picture: RgbImage, face: MeshFace) -> None:
    expected = align(good_picture, face).crop.astype(int)
    assert expected.shape == (112, 112, 3)
    for transform in (
        cv2.getRotationMatrix2D((320, 240), 40, 1.0),
        cv2.getRotationMatrix2D((320, 240), 0, 0.8),
        np.array([[1.0, 0.0, 60.0], [0.0, 1.0, -30.0]]),
    ):
        crop = align(*moved(good_picture, face, transform)).crop
        assert np.abs(crop.astype(int) - expected).mean() < 4


def test_the_square_crop_is_centred_on_the_face_and_as_large_as_asked(good_picture: RgbImage, face: MeshFace) -> None:
    low, high = face.points[:, :2].min(axis=0), face.points[:, :2].max(axis=0)
    box = np.zeros_like(good_picture)
    cv2.rectangle(box, low.astype(int).tolist(), high.astype(int).tolist(), (255, 255, 255), -1)
    crop = square_crop(box, face, 1.5, 128)
    assert crop.shape == (128, 128, 3)
    rows, columns = np.nonzero(crop[:, :, 0] > 127)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(63.5, abs=2)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(63.5, abs=2)
    assert np.ptp(rows) == pytest.approx(128 / 1.5, abs=2)


def test_the_square_crop_stays_inside_the_picture(good_picture: RgbImage, face: MeshFace) -> None:
    """A black margin beside a face that fills the frame looks like a display's edge to the anti-spoof network."""
    white = np.full_like(good_picture, 255)
    for corner in ((0, 0), (640, 480)):
        at_the_corner = replace(face, points=face.points - face.points.mean(axis=0) + np.array([*corner, 0]))
        assert square_crop(white, at_the_corner, 1.5, 128).min() == 255
    assert square_crop(white, face, 5.0, 128).min() == 255

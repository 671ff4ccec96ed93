"""The samples are of the skin, and follow the face wherever it stands."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from core.features.skin_samples import SKIN_POINTS, sample_skin
from core.features.values import SkinSamples
from core.imaging.alignment import align
from core.types import MeshFace, RgbImage
from tests.core.pictures import moved

EYES_AND_LIPS = (33, 133, 159, 145, 263, 362, 386, 374, 13, 14, 61, 291)
TIP_OF_THE_NOSE = 1
"""The crop is aligned by it."""


def skin_of(rgb: RgbImage, face: MeshFace) -> SkinSamples:
    return sample_skin(align(rgb, face), face)


@pytest.mark.parametrize(
    "transform",
    [
        np.array([[1.0, 0.0, 60.3], [0.0, 1.0, -30.7]]),
        cv2.getRotationMatrix2D((320, 240), 0, 0.7),
        cv2.getRotationMatrix2D((320, 240), 0, 1.3),
        cv2.getRotationMatrix2D((320, 240), 25, 1.0),
    ],
    ids=["shifted", "farther", "nearer", "leaning"],
)
def test_the_samples_follow_the_face(good_picture: RgbImage, face: MeshFace, transform: cv2.typing.MatLike) -> None:
    before = skin_of(good_picture, face)
    after = skin_of(*moved(good_picture, face, transform))
    assert np.ptp(before) > 60, "a face is not of one brightness"
    assert np.abs(after.astype(int) - before).mean() < 2


def test_the_darkest_skin_is_told_from_what_cannot_be_seen(face: MeshFace, good_picture: RgbImage) -> None:
    samples = skin_of(np.zeros_like(good_picture), face)
    assert samples.shape == (len(SKIN_POINTS),)
    assert samples.dtype == np.uint8
    assert set(samples.tolist()) == {0, 1}
    assert (samples == 0).mean() < 0.05, "nearly all places lie within the crop"


def test_places_outside_the_crop_are_zero(face: MeshFace, good_picture: RgbImage) -> None:
    points = face.points.copy()
    astray = np.arange(0, len(SKIN_POINTS), 4)
    astray = astray[SKIN_POINTS[astray] != TIP_OF_THE_NOSE]
    points[SKIN_POINTS[astray], 0] += 400
    before = skin_of(good_picture, face)
    samples = skin_of(good_picture, replace(face, points=points))
    assert set(samples[astray].tolist()) == {0}
    np.testing.assert_array_equal(np.delete(samples, astray), np.delete(before, astray))


def test_a_stain_is_seen_where_it_is(face: MeshFace, good_picture: RgbImage) -> None:
    before = skin_of(good_picture, face)
    stained = good_picture.copy()
    at = len(SKIN_POINTS) // 2
    x, y = face.points[SKIN_POINTS[at], :2]
    cv2.circle(stained, (round(float(x)), round(float(y))), 12, (0, 0, 0), -1)
    changed = np.abs(skin_of(stained, face).astype(int) - before)
    assert changed[at] > 40
    assert (changed > 10).mean() < 0.25


def test_eyes_and_lips_are_left_out_for_they_move_in_masks_too() -> None:
    assert not set(EYES_AND_LIPS) & set(SKIN_POINTS.tolist())
    assert len(SKIN_POINTS) > 100
    assert int(SKIN_POINTS.max()) < 468


def test_hair_lids_and_the_holes_of_masks_are_not_looked_at(face: MeshFace) -> None:
    below_the_eyes = face.points[SKIN_POINTS, 1] - face.points[[468, 473], 1].max()
    assert below_the_eyes.min() > 0.2 * abs(face.points[468, 0] - face.points[473, 0])

"""Faces far away are found, in frames as in large stills; and one face is one face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from core.face_mesh import FaceMesh
from core.face_recognition_engine import FaceRecognitionEngine, FrameView
from core.imaging.frames import ImageLimits, Picture
from core.types import RgbImage
from testkit.clips import encode_jpeg
from testkit.faces.light import exposed
from vocabulary.faces import Issue

FACE_WIDTH_PX = 190
"""Of the good picture, about."""


def far_away(rgb: RgbImage, face_px: int, size: tuple[int, int], place: tuple[float, float] = (0.5, 0.5)) -> RgbImage:
    """The picture with a face that wide, somewhere in a large one."""
    scale = face_px / FACE_WIDTH_PX
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    shown = np.full((size[1], size[0], 3), 110, np.uint8)
    left, top = (round(place[axis] * (size[axis] - small.shape[1 - axis])) for axis in (0, 1))
    shown[top : top + small.shape[0], left : left + small.shape[1]] = small
    return shown


@pytest.mark.parametrize("face_px", [38, 45, 52])
def test_who_stands_far_away_is_told_to_come_closer(
    good_picture: RgbImage, engine: FaceRecognitionEngine, face_px: int
) -> None:
    frame = far_away(good_picture, face_px, (640, 480))
    faces = engine.detector.safe_process(frame)
    assert FrameView.of(Picture.whole(frame), faces).quality.issues[0] is Issue.MOVE_CLOSER


@pytest.mark.parametrize("place", [(0.1, 0.2), (0.5, 0.5), (0.97, 0.9)])
@pytest.mark.parametrize("size", [(1280, 800), (2560, 1600), (4000, 3000), (6000, 4000)])
def test_a_face_of_some_seventy_pixels_is_found_in_any_still(
    good_picture: RgbImage,
    engine: FaceRecognitionEngine,
    limits: ImageLimits,
    size: tuple[int, int],
    place: tuple[float, float],
) -> None:
    view = engine.analyse_still(encode_jpeg(far_away(good_picture, 72, size, place), 90), limits)
    assert len(view.faces) == 1
    assert view.picture.size == size
    assert view.boxes[0].width * size[0] == pytest.approx(72, abs=14)


def test_in_noise_one_face_is_not_found_twice(mesh: FaceMesh, good_picture: RgbImage) -> None:
    for light, noise in ((1 / 100, 0.004), (1 / 60, 0.006), (1 / 30, 0.008)):
        assert len(mesh.process(exposed(good_picture, light, noise))) <= 1

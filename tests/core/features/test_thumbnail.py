"""The thumbnail is small, and fine enough to see what moves by less than its own pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from core.features.thumbnail import thumbnail
from core.features.values import THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH
from core.liveness.cues.body import shift
from core.types import RgbImage

EVERYWHERE = np.zeros((THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH), np.bool_)
EVERYWHERE[3:-3, 3:-3] = True


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (480, 640), (96, 72)])
def test_every_frame_is_squeezed_to_one_size(good_picture: RgbImage, size: tuple[int, int]) -> None:
    small = thumbnail(np.asarray(cv2.resize(good_picture, size), np.uint8))
    assert small.shape == (THUMBNAIL_HEIGHT, THUMBNAIL_WIDTH)
    assert small.dtype == np.uint8
    assert np.abs(small.astype(int) - thumbnail(good_picture)).mean() < 4


def test_it_is_as_bright_as_the_frame(good_picture: RgbImage) -> None:
    grey = cv2.cvtColor(good_picture, cv2.COLOR_RGB2GRAY)
    assert thumbnail(good_picture).mean() == pytest.approx(grey.mean(), abs=1)
    assert set(thumbnail(np.full_like(good_picture, 77)).ravel().tolist()) == {77}


@pytest.mark.parametrize("pixels", [(1, 0), (0, 1), (-2, 3), (4, 0)])
def test_one_pixel_of_the_frame_is_seen_to_move(good_picture: RgbImage, pixels: tuple[int, int]) -> None:
    moved = np.roll(good_picture, pixels, axis=(1, 0))
    before, now = (cv2.GaussianBlur(thumbnail(rgb).astype(np.float64), (0, 0), 1) for rgb in (good_picture, moved))
    across, down = shift(np.asarray(before), np.asarray(now), EVERYWHERE)
    assert across == pytest.approx(pixels[0] * THUMBNAIL_WIDTH / 640, abs=0.05)
    assert down == pytest.approx(pixels[1] * THUMBNAIL_HEIGHT / 480, abs=0.05)

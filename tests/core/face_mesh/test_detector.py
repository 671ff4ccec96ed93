"""From the detector's raw answers to faces."""

from __future__ import annotations

import numpy as np
import pytest

from core.face_mesh.detector import SIZE, decode, letterbox

ANCHORS = 896


def answers(*boxes: tuple[int, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Raw boxes of 40 pixels, (anchor, shift to the right, logit); everything else is surely no face."""
    raw = np.zeros((ANCHORS, 16), np.float32)
    logits = np.full(ANCHORS, -60.0, np.float32)
    for anchor, shift, logit in boxes:
        raw[anchor, 0], raw[anchor, 2:4], logits[anchor] = shift, 40.0, logit
    return raw, logits


def test_what_is_surely_no_face_is_none() -> None:
    assert decode(*answers()) == []


def test_a_box_stands_about_its_anchor() -> None:
    (face,) = decode(*answers((0, 0.0, 5.0)))
    assert face[:4] == pytest.approx([4 - 20, 4 - 20, 4 + 20, 4 + 20])
    assert face[4:6] == pytest.approx([4, 4])


def test_boxes_of_one_face_are_weighed_by_their_scores() -> None:
    (face,) = decode(*answers((0, 0.0, 0.0), (1, 6.0, 50.0)))
    assert face[0] == pytest.approx(4 - 20 + 6.0 * 1.0 / 1.5, abs=1e-3)


def test_faces_apart_are_several_the_surest_first() -> None:
    faces = decode(*answers((0, 0.0, 1.0), (2 * 12, 0.0, 3.0)))
    assert [face[0] + 20 for face in faces] == pytest.approx([100, 4])


def test_a_frame_is_scaled_to_fit_and_centred() -> None:
    boxed = letterbox(np.full((240, 320, 3), 200, np.uint8))
    assert (boxed.picture.shape, boxed.left, boxed.top) == ((SIZE, SIZE, 3), 0, 16)
    assert boxed.scale == pytest.approx(0.4)
    assert (boxed.picture[:16] == 0).all()
    assert (boxed.picture[16:112] == 200).all()

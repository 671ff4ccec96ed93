"""Regions follow the landmarks rigidly, and cuts are undone exactly."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from core.face_mesh.regions import cut, framing_of, track
from core.types import MeshFace, Region, RgbImage

REGION = Region(310.0, 235.0, 260.0, 0.2)


def turned(points: np.ndarray, degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    transform = cv2.getRotationMatrix2D((320, 240), -degrees, scale)
    moved = points.copy()
    moved[:, :2] = points[:, :2] @ transform[:, :2].T + transform[:, 2] + shift
    return moved


def test_a_region_stands_about_the_same_landmarks_as_it_did(face: MeshFace) -> None:
    again = track(face.points, framing_of(REGION, face.points)).region
    for field in ("x", "y", "side", "angle"):
        assert getattr(again, field) == pytest.approx(getattr(REGION, field), abs=1e-3)


def test_a_region_goes_where_the_face_goes(face: MeshFace) -> None:
    there = track(turned(face.points, 0, 1.5, (40, -20)), framing_of(REGION, face.points)).region
    assert there.side == pytest.approx(1.5 * REGION.side, rel=1e-3)
    assert (there.x, there.y) == pytest.approx(
        (320 + 1.5 * (REGION.x - 320) + 40, 240 + 1.5 * (REGION.y - 240) - 20), abs=0.1
    )


def test_a_head_that_leans_over_takes_its_region_along_through_half_a_turn(face: MeshFace) -> None:
    framing = framing_of(REGION, face.points)
    upside_down = track(turned(face.points, 175, 1.0, (0, 0)), framing).region
    assert np.cos(upside_down.angle - REGION.angle) == pytest.approx(np.cos(np.radians(175)), abs=0.02)
    again = framing_of(upside_down, turned(face.points, 175, 1.0, (0, 0)))
    assert again.turn == pytest.approx(framing.turn, abs=1e-3)


def test_what_is_seen_in_a_cut_is_found_again_in_the_frame(good_picture: RgbImage) -> None:
    marked = np.zeros_like(good_picture)
    cv2.circle(marked, (350, 200), 3, (255, 255, 255), -1)
    picture = np.empty((256, 256, 3), np.uint8)
    made = cut(marked, REGION, picture)
    crop = picture[:, :, 0].astype(float)
    rows, columns = np.mgrid[:256, :256]
    seen = np.array([[(columns * crop).sum() / crop.sum(), (rows * crop).sum() / crop.sum(), 10.0]], np.float32)
    back = made.to_frame(seen)[0]
    assert back == pytest.approx([350, 200, 10 * 260 / 256], abs=0.3)


@pytest.mark.parametrize(
    "region",
    [
        REGION,
        Region(310.4, 235.2, 260.0, 0.0),
        Region(20.0, 30.0, 200.0, -0.4),
        Region(630.0, 470.0, 300.0, 3.0),
        Region(320.0, 240.0, 2_000.0, 0.8),
        Region(-400.0, 100.0, 150.0, 0.1),
        Region(300.0, 9_000.0, 150.0, 0.1),
        Region(100.0, 100.0, 1.5, 0.3),
    ],
)
def test_a_cut_shows_the_frame_and_beyond_it_its_edge(good_picture: RgbImage, region: Region) -> None:
    picture = np.empty((192, 192, 3), np.uint8)
    made = cut(good_picture, region, picture)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    whole = cv2.warpAffine(good_picture, made.transform, (192, 192), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    assert np.abs(picture.astype(int) - whole.astype(int)).max() <= 1

"""Real faces match their descriptions: colours, frames and blinks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.face_mesh.mediapipe_mesh import MediaPipeFaceMesh
from core.types import RgbImage
from testkit import clips

MODEL = Path(__file__).resolve().parents[2] / "var" / "models" / "face_landmarker.task"

needs_data = pytest.mark.skipif(
    not clips.shared_data_available(), reason=f"no shared data in {clips.SHARED_DATA} (SHARED_DATA_DIR)"
)
needs_model = pytest.mark.skipif(not MODEL.is_file(), reason=f"no model {MODEL}: ./run_tests.sh fetches it")


@pytest.fixture(scope="module")
def mesh() -> Iterator[MediaPipeFaceMesh]:
    mesh = MediaPipeFaceMesh(MODEL)
    yield mesh
    mesh.close()


def closure(mesh: MediaPipeFaceMesh, rgb: RgbImage) -> float:
    face = mesh.process(rgb)[0]
    return min(face.blink_left, face.blink_right)


def test_the_portraits_are_rgb() -> None:
    astronaut, hopper = clips.astronaut(), clips.grace_hopper()
    assert astronaut.shape == (512, 512, 3)
    assert hopper.shape == (600, 512, 3)
    assert astronaut.dtype == hopper.dtype == np.uint8
    orange_suit, blue_wall = astronaut[280, 120], hopper[100, 480]
    assert orange_suit[0] > orange_suit[2] + 50
    assert blue_wall[2] > blue_wall[0] + 50


def test_a_portrait_can_be_changed_without_changing_the_next() -> None:
    clips.astronaut()[:] = 0
    assert clips.astronaut().any()


def test_jpeg_keeps_the_picture() -> None:
    rgb = clips.astronaut()
    data = clips.encode_jpeg(rgb, quality=95)
    assert data.startswith(b"\xff\xd8\xff")
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert decoded is not None
    assert np.abs(decoded.astype(int) - rgb).mean() < 4
    assert len(clips.encode_jpeg(rgb, quality=50)) < len(data)


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(ValueError, match="not a picture"):
        clips.read_image(tmp_path / "text.jpg")
    with pytest.raises(FileNotFoundError, match="no such file"):
        clips.read_image(tmp_path / "missing.jpg")


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(ValueError, match="not a video"):
        clips.read_clip(tmp_path / "text.mp4")
    with pytest.raises(FileNotFoundError, match="no such file"):
        clips.read_clip(tmp_path / "missing.mp4")


@needs_data
def test_part_of_a_clip_is_that_part() -> None:
    path = clips.GRID_CLIPS[0].path
    whole = clips.read_clip(path)
    part = clips.read_clip(path, 10, 13)
    assert len(whole) == 75
    assert len(part) == 3
    assert all(np.array_equal(frame, expected) for frame, expected in zip(part, whole[10:13], strict=True))
    assert whole[0].shape == (288, 360, 3)
    assert clips.read_clip(path, 74, 80)[0].shape == (288, 360, 3)
    assert clips.read_clip(path, 80) == []


@needs_data
@needs_model
@pytest.mark.parametrize("clip", clips.GRID_CLIPS, ids=lambda clip: clip.name)
def test_grid_blinks_are_where_they_are_said_to_be(clip: clips.GridClip, mesh: MediaPipeFaceMesh) -> None:
    frames = clips.read_clip(clip.path)
    assert closure(mesh, frames[5]) < 0.25
    for begin in clip.blink_frames:
        assert max(closure(mesh, frame) for frame in frames[begin : begin + 5]) > 0.4

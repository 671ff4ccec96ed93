"""The tracked networks against MediaPipe's own FaceLandmarker, which is the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from core.face_mesh import UNTRACKED, FaceMesh, mesh_factory
from core.face_recognition_engine import FrameView
from core.features.quality import face_box
from core.imaging.frames import Picture
from core.liveness.cues.movements import BlinkCue
from core.liveness.observation import read_face
from core.types import Detail, MeshFace, RgbImage
from testkit.clips import GRID_CLIPS, SHARED_DATA, read_clip, read_image
from tests.conftest import needs_shared_data
from tests.models import mesh_models

pytestmark = needs_shared_data

MEAN_ERROR, LIGHT_MEAN_ERROR = 0.015, 0.026
"""Of the distance of the irises."""
CLIPS = GRID_CLIPS[::2]


@pytest.fixture(scope="module")
def oracle(model_dir: Path) -> FaceMesh:
    return mesh_factory("mediapipe", mesh_models(model_dir))()


def off_by(face: MeshFace, truth: MeshFace) -> float:
    eyes = np.linalg.norm(truth.points[468, :2] - truth.points[473, :2])
    return float(np.linalg.norm(face.points[:468, :2] - truth.points[:468, :2], axis=1).mean() / eyes)


def test_pictures_show_both_the_same(mesh: FaceMesh, oracle: FaceMesh) -> None:
    pictures = [read_image(path) for path in sorted((SHARED_DATA / "lfw" / "images").glob("*/*.jpg"))[::75]]
    seen = [(mesh.process(rgb), oracle.process(rgb)) for rgb in pictures]
    assert sum(bool(faces) == bool(truth) for faces, truth in seen) >= 0.99 * len(pictures)
    both = [(faces[0], truth[0]) for faces, truth in seen if faces and truth]
    assert np.mean([off_by(face, truth) for face, truth in both]) <= MEAN_ERROR
    angles = [(f.pose.yaw - t.pose.yaw, f.pose.pitch - t.pose.pitch, f.pose.roll - t.pose.roll) for f, t in both]
    assert np.abs(angles).mean() < 0.5
    shapes = [(f.blink_left - t.blink_left, f.smile - t.smile, f.jaw_open - t.jaw_open) for f, t in both]
    assert np.abs(shapes).mean() < 0.03


def test_clips_show_both_the_same_faces_and_the_same_blinks(mesh: FaceMesh, oracle: FaceMesh) -> None:
    errors: list[float] = []
    for clip in CLIPS:
        tracking = UNTRACKED
        seen, truth = [], []
        frames = read_clip(clip.path)
        for rgb in frames:
            faces = mesh.process(rgb, tracking)
            tracking = tracking.after(faces)
            seen.append(faces[0])
            truth.append(oracle.process(rgb)[0])
        errors.extend(off_by(face, other) for face, other in zip(seen, truth, strict=True))
        ours, theirs = blinks(frames, seen), blinks(frames, truth)
        assert len(ours) == len(theirs), clip.name
        assert all(abs(one - other) <= 1 for one, other in zip(ours, theirs, strict=True)), (clip.name, ours, theirs)
    assert np.mean(errors) <= MEAN_ERROR


def blinks(frames: Sequence[RgbImage], faces: Sequence[MeshFace]) -> list[int]:
    """The frames in which a blink was complete."""
    cue, counts = BlinkCue(), [0]
    for index, (rgb, face) in enumerate(zip(frames, faces, strict=True)):
        sharpness = FrameView.of(Picture.whole(rgb), [face]).quality.sharpness
        cue.observe(read_face(face, sharpness, None, index * 40, face_box(face, rgb)))
        counts.append(cue.count)
    return [index for index, (before, after) in enumerate(pairwise(counts)) if after > before]


def test_the_light_mesh_shows_nearly_the_same_and_spoils_nothing_for_the_full_one(
    mesh: FaceMesh, oracle: FaceMesh
) -> None:
    """Two light frames, then a full one, as sessions that need a probe now and then."""
    light: list[float] = []
    full: list[float] = []
    for clip in CLIPS:
        tracking = UNTRACKED
        for index, rgb in enumerate(read_clip(clip.path)):
            detail = Detail.LIGHT if index % 3 else Detail.FULL
            face = mesh.process(rgb, tracking, detail)[0]
            tracking = tracking.after([face])
            (light if face.detail is Detail.LIGHT else full).append(off_by(face, oracle.process(rgb)[0]))
    assert len(light) > 1.8 * len(full)
    assert np.mean(light) <= LIGHT_MEAN_ERROR
    assert np.mean(full) <= MEAN_ERROR

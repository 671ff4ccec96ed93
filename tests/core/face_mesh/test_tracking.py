"""A face that is tracked: where it was is where it is looked for, whoever else the instance serves meanwhile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.face_mesh import UNTRACKED, FaceMesh, Tracking
from core.face_mesh.detector import find_faces
from core.face_mesh.openvino_mesh import MeshNetworks, OpenVinoFaceMesh
from core.face_mesh.tracking import DETECTION_INTERVAL_FRAMES
from core.networks import OpenVinoNetwork
from core.types import MeshFace, Region, RgbImage
from testkit.clips import GRID_CLIPS, read_clip
from tests.conftest import needs_shared_data
from tests.core.pictures import shifted
from tests.models import mesh_models


class Detections:
    """Counts how often the detector looks at a whole frame."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        monkeypatch.setattr("core.face_mesh.openvino_mesh.find_faces", self)

    def __call__(self, network: OpenVinoNetwork, rgb: RgbImage, look: int) -> list[Region]:
        self.count += look == 0
        return find_faces(network, rgb, look)


@pytest.fixture
def detections(monkeypatch: pytest.MonkeyPatch) -> Detections:
    return Detections(monkeypatch)


def follow(mesh: FaceMesh, frames: list[RgbImage]) -> list[MeshFace]:
    tracking, seen = UNTRACKED, []
    for rgb in frames:
        faces = mesh.process(rgb, tracking)
        tracking = tracking.after(faces)
        seen.append(faces[0])
    return seen


def same(one: MeshFace, other: MeshFace) -> bool:
    return np.array_equal(one.points, other.points) and (one.pose, one.blink_left) == (other.pose, other.blink_left)


def test_the_detector_looks_once_and_then_only_for_a_second_face(
    mesh: FaceMesh, good_picture: RgbImage, detections: Detections
) -> None:
    follow(mesh, [shifted(good_picture, 2 * step, step) for step in range(DETECTION_INTERVAL_FRAMES)])
    assert detections.count == 1
    follow(mesh, [good_picture] * (2 * DETECTION_INTERVAL_FRAMES + 1))
    assert detections.count == 1 + 3


def test_a_face_that_is_followed_is_found_where_it_went(mesh: FaceMesh, good_picture: RgbImage) -> None:
    frames = [shifted(good_picture, 8 * step, -3 * step) for step in range(9)]
    for tracked, rgb in zip(follow(mesh, frames), frames, strict=True):
        afresh = mesh.process(rgb)[0]
        eyes = np.linalg.norm(afresh.points[468] - afresh.points[473])
        assert np.linalg.norm(tracked.points[:, :2] - afresh.points[:, :2], axis=1).mean() < 0.02 * eyes


def test_a_face_that_jumps_away_is_found_in_the_same_frame(
    mesh: FaceMesh, good_picture: RgbImage, detections: Detections
) -> None:
    tracked = follow(mesh, [good_picture, shifted(good_picture, -250, 0)])
    assert detections.count == 2
    assert tracked[1].points[:, 0].mean() - tracked[0].points[:, 0].mean() == pytest.approx(-250, abs=8)


def test_nobody_is_looked_for_in_every_frame(mesh: FaceMesh, good_picture: RgbImage, detections: Detections) -> None:
    tracking = UNTRACKED
    for rgb in (good_picture, np.zeros_like(good_picture), np.zeros_like(good_picture)):
        tracking = tracking.after(mesh.process(rgb, tracking))
    assert tracking.faces == ()
    assert detections.count == 3
    assert len(mesh.process(good_picture, tracking)) == 1


def test_a_second_face_is_seen_when_it_is_looked_for_again(mesh: FaceMesh, good_picture: RgbImage) -> None:
    person = good_picture[:, 120:520]
    alone = np.hstack([person, np.zeros_like(person)])
    together = np.hstack([person, np.ascontiguousarray(person[:, ::-1])])
    tracking = UNTRACKED.after(mesh.process(alone))
    counts = []
    for _ in range(DETECTION_INTERVAL_FRAMES + 2):
        faces = mesh.process(together, tracking)
        tracking = tracking.after(faces)
        counts.append(len(faces))
    assert counts[0] == 1
    assert counts[-1] == 2
    assert len(tracking.faces) == 2


@pytest.mark.parametrize("share", [0.1, 0.15, 0.2])
def test_a_head_that_jumps_is_looked_for_anew(mesh: FaceMesh, good_picture: RgbImage, share: float) -> None:
    """A network that looks beside a face may find one all the same, and its landmarks somewhere."""
    tracking = UNTRACKED.after(mesh.process(good_picture))
    step = round(share * tracking.faces[0].region.side)
    moved = shifted(good_picture, step, 0)
    (face,) = mesh.process(moved, tracking)
    (alone,) = mesh.process(moved)
    assert same(face, alone)


def test_a_head_that_jumps_where_the_detector_sees_none_is_where_its_landmarks_are(
    mesh: FaceMesh, good_picture: RgbImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracking = UNTRACKED.after(mesh.process(good_picture))
    step = round(0.1 * tracking.faces[0].region.side)
    moved = shifted(good_picture, step, 0)
    (alone,) = mesh.process(moved)
    monkeypatch.setattr("core.face_mesh.openvino_mesh.find_faces", lambda *_: [])
    (face,) = mesh.process(moved, tracking)
    assert np.linalg.norm(face.points[:, :2] - alone.points[:, :2], axis=1).mean() < step / 2


def test_two_regions_of_one_face_are_not_two_faces(mesh: FaceMesh, good_picture: RgbImage) -> None:
    tracking = UNTRACKED.after(mesh.process(good_picture))
    due = Tracking(tracking.faces, DETECTION_INTERVAL_FRAMES)
    assert len(mesh.process(good_picture, due)) == 1


def test_two_that_are_followed_to_one_face_are_one(mesh: FaceMesh, good_picture: RgbImage) -> None:
    (tracked,) = UNTRACKED.after(mesh.process(good_picture)).faces
    assert len(mesh.process(good_picture, Tracking((tracked, tracked), 1))) == 1


@needs_shared_data
def test_sessions_that_share_an_instance_see_what_each_would_see_alone(model_dir: Path) -> None:
    networks = MeshNetworks.load(mesh_models(model_dir))
    clips = [read_clip(clip.path, 0, 24) for clip in GRID_CLIPS[:4]]
    alone = [follow(OpenVinoFaceMesh(networks), frames) for frames in clips]
    instances = [OpenVinoFaceMesh(networks) for _ in range(2)]
    trackings = [UNTRACKED for _ in clips]
    order = np.random.default_rng(7)
    for index in range(24):
        for session in order.permutation(len(clips)):
            faces = instances[order.integers(2)].process(clips[session][index], trackings[session])
            trackings[session] = trackings[session].after(faces)
            assert same(faces[0], alone[session][index]), f"session {session} differs at frame {index}"

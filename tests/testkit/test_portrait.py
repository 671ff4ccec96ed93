"""A portrait performs the requested actions, measured by the networks that analyse camera frames."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from core.face_mesh.mediapipe_mesh import MediaPipeFaceMesh
from core.features.embedder.network import Embedder
from core.features.spoof import SpoofDetector
from core.imaging.alignment import align
from core.types import MeshFace, RgbImage
from testkit import clips
from testkit.faces.portrait import Action, Expression, Portrait, framed, main, perform
from testkit.recognised import recognised

MODELS = Path(__file__).resolve().parents[2] / "var" / "models"
PICTURES = {"astronaut": clips.astronaut, "grace_hopper": clips.grace_hopper}

needs_models = pytest.mark.skipif(
    not (MODELS / "face_landmarker.task").is_file(), reason=f"no models in {MODELS}: ./run_tests.sh fetches them"
)
pytestmark = needs_models


@dataclass(frozen=True)
class Subject:
    """A portrait, a mesh, and the mesh's reading of the picture itself."""

    rgb: RgbImage
    portrait: Portrait
    mesh: MediaPipeFaceMesh
    face: MeshFace

    def seen(self, expression: Expression) -> tuple[RgbImage, MeshFace]:
        frame = self.portrait.render(expression)
        faces = self.mesh.process(frame)
        assert len(faces) == 1
        return frame, faces[0]

    def seen_face(self, expression: Expression) -> MeshFace:
        return self.seen(expression)[1]


@pytest.fixture(scope="module")
def mesh() -> Iterator[MediaPipeFaceMesh]:
    mesh = MediaPipeFaceMesh(MODELS / "face_landmarker.task")
    yield mesh
    mesh.close()


@pytest.fixture(scope="module", params=PICTURES)
def subject(request: pytest.FixtureRequest, mesh: MediaPipeFaceMesh) -> Subject:
    rgb = PICTURES[request.param]()
    return Subject(rgb, Portrait(rgb, mesh), mesh, mesh.process(rgb)[0])


@pytest.fixture(scope="module")
def hopper(mesh: MediaPipeFaceMesh) -> Portrait:
    return Portrait(framed(clips.grace_hopper(), mesh, (320, 240)), mesh)


def closure(face: MeshFace) -> float:
    return min(face.blink_left, face.blink_right)


def test_without_an_expression_it_is_the_picture(subject: Subject) -> None:
    before = subject.rgb.copy()
    subject.portrait.render(Expression(blink=1.0, jaw=1.0))
    assert np.array_equal(subject.portrait.render(Expression()), before)


def test_a_blink_closes_both_eyes(subject: Subject) -> None:
    assert max(subject.face.blink_left, subject.face.blink_right) < 0.25
    half, shut = (closure(subject.seen_face(Expression(blink=blink))) for blink in (0.5, 1.0))
    assert closure(subject.face) < half < shut
    assert shut >= 0.5


def test_a_blink_during_a_small_turn_closes_both_eyes(subject: Subject) -> None:
    assert closure(subject.seen_face(Expression(blink=1.0, yaw_deg=2.0, pitch_deg=-1.0))) >= 0.45


@pytest.mark.parametrize("yaw_deg", [25.0, -25.0])
def test_a_turn_is_seen_on_its_own_side(subject: Subject, yaw_deg: float) -> None:
    change = subject.seen_face(Expression(yaw_deg=yaw_deg)).pose.yaw - subject.face.pose.yaw
    assert change * np.sign(yaw_deg) >= 15.0
    assert abs(change) <= 35.0


@pytest.mark.parametrize("pitch_deg", [15.0, -15.0])
def test_a_nod_is_seen_in_its_own_direction(subject: Subject, pitch_deg: float) -> None:
    change = subject.seen_face(Expression(pitch_deg=pitch_deg)).pose.pitch - subject.face.pose.pitch
    assert change * np.sign(pitch_deg) >= 10.0


def test_a_smile_is_seen(subject: Subject) -> None:
    relaxed = subject.seen_face(subject.portrait.relaxed)
    smiling = subject.seen_face(Expression(smile=1.0))
    assert smiling.smile - relaxed.smile >= 0.3
    assert smiling.smile >= 0.5


def test_an_open_mouth_is_seen(subject: Subject) -> None:
    assert subject.face.jaw_open < 0.1
    assert subject.seen_face(Expression(jaw=1.0)).jaw_open >= 0.35


def test_it_stays_the_same_live_person(subject: Subject) -> None:
    embedder = Embedder.load(MODELS / "fr_feature.onnx")
    spoof = SpoofDetector.load(MODELS / "fr_liveness.onnx")
    original = recognised(embedder.embed(align(subject.rgb, subject.face).crop))
    assert spoof.live_score(subject.rgb, subject.face) > 0.5
    for expression in (Expression(yaw_deg=1.0), Expression(blink=1.0), Expression(yaw_deg=25.0), Expression(jaw=1.0)):
        frame, face = subject.seen(expression)
        assert float(recognised(embedder.embed(align(frame, face).crop)) @ original) >= 0.6
        assert spoof.live_score(frame, face) > 0.5


def test_the_background_stands_still(subject: Subject) -> None:
    frame = subject.portrait.render(Expression(yaw_deg=25.0, jaw=1.0))
    assert np.array_equal(frame[-60:], subject.rgb[-60:])
    assert not np.array_equal(frame, subject.rgb)


def test_a_picture_without_a_face_is_refused(mesh: MediaPipeFaceMesh) -> None:
    with pytest.raises(ValueError, match="no face"):
        Portrait(np.full((240, 320, 3), 128, np.uint8), mesh)


def test_framing_gives_the_size_and_a_large_face_in_the_middle(mesh: MediaPipeFaceMesh) -> None:
    rgb = framed(clips.astronaut(), mesh, (640, 480))
    points = mesh.process(rgb)[0].points[:, :2]
    assert rgb.shape == (480, 640, 3)
    assert np.abs((points.min(axis=0) + points.max(axis=0)) / 2 - (320, 240)).max() < 15
    assert 0.4 < np.ptp(points[:, 1]) / 480 < 0.5


def test_a_performance_tells_what_each_frame_shows(hopper: Portrait) -> None:
    performance = list(perform(hopper, ["blink", "turn_left"], fps=10))
    truths = [truth for _, truth in performance]
    assert [truth.index for truth in truths] == list(range(len(truths)))
    assert [truth.seconds for truth in truths] == pytest.approx([index / 10 for index in range(len(truths))])
    order = [truth.action for i, truth in enumerate(truths) if i == 0 or truth.action != truths[i - 1].action]
    assert order == ["rest", "blink", "rest", "turn_left", "rest"]
    assert sum(truth.expression.blink > 0.99 for truth in truths) >= 2
    assert max(truth.expression.yaw_deg for truth in truths) > 25
    assert all(frame.shape == (240, 320, 3) for frame, _ in performance)


@pytest.mark.parametrize("fps", [5, 8, 15, 30])
def test_a_blink_shows_at_any_usual_rate(hopper: Portrait, fps: float) -> None:
    shut = [truth for _, truth in perform(hopper, ["blink"], fps, sway=False) if truth.expression.blink > 0.99]
    assert shut


def test_a_smile_of_a_smiling_portrait_starts_relaxed(mesh: MediaPipeFaceMesh) -> None:
    portrait = Portrait(clips.astronaut(), mesh)
    shown = {truth.index: (frame, truth) for frame, truth in perform(portrait, ["smile"], fps=4, sway=False)}
    smiles = {index: mesh.process(frame)[0].smile for index, (frame, _) in shown.items()}
    held = max(shown, key=lambda index: shown[index][1].expression.smile)
    assert smiles[held] - smiles[0] >= 0.3


def test_only_sway_moves_a_head_at_rest(hopper: Portrait) -> None:
    still = [frame for frame, _ in perform(hopper, [], fps=5, sway=False)]
    swaying = [frame for frame, _ in perform(hopper, [], fps=5)]
    assert all(np.array_equal(frame, still[0]) for frame in still)
    assert not np.array_equal(swaying[0], swaying[-1])


@pytest.mark.parametrize(("actions", "fps"), [(["wink"], 10.0), (["blink"], 0.0)])
def test_a_wrong_script_is_refused_before_the_first_frame(hopper: Portrait, actions: list[Action], fps: float) -> None:
    with pytest.raises(ValueError, match=r"wink|fps"):
        perform(hopper, actions, fps)


def test_the_command_writes_numbered_frames_and_their_truth(tmp_path: Path) -> None:
    out = tmp_path / "frames"
    assert main(["--image", "grace_hopper", "--size", "320x240", "--fps", "5", "--out", str(out)]) == 0
    truths = [json.loads(line) for line in (out / "truth.jsonl").read_text().splitlines()]
    assert [path.name for path in sorted(out.glob("*.jpg"))] == [f"{truth['index']:05d}.jpg" for truth in truths]
    assert clips.read_image(out / "00000.jpg").shape == (240, 320, 3)


def test_the_command_writes_mjpeg(tmp_path: Path) -> None:
    out = tmp_path / "frames.mjpeg"
    assert main(["--image", "grace_hopper", "--size", "320x240", "--fps", "5", "--out", str(out)]) == 0
    data = out.read_bytes()
    assert data.startswith(b"\xff\xd8\xff")
    assert data.endswith(b"\xff\xd9")
    assert data.count(b"\xff\xd9\xff\xd8\xff") == 3


def test_the_command_tells_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--image", str(tmp_path / "nobody.jpg"), "--out", str(tmp_path / "out")]) == 1
    assert "no such file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--actions", "wink", "--out", str(tmp_path / "out")])
    assert "wink" in capsys.readouterr().err

"""Live faces score high, presented ones low."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.face_mesh import FaceMesh
from core.features.spoof import SpoofDetector, SpoofNetwork
from core.liveness.policy import REQUIREMENTS, Policy
from core.networks import Tensor
from core.types import RgbImage
from testkit.clips import GRID_CLIPS, read_clip, read_image
from tests.conftest import data_file, needs_shared_data


@pytest.fixture(scope="module", params=["one network", "two networks"])
def spoof(model_dir: Path, request: pytest.FixtureRequest) -> SpoofDetector:
    second = model_dir / "2.7_80x80_MiniFASNetV2.pth"
    if request.param == "one network":
        return SpoofDetector.load(model_dir / "fr_liveness.onnx")
    if not second.exists():
        pytest.skip(f"there is no {second}")
    return SpoofDetector.load(model_dir / "fr_liveness.onnx", second)


def score(spoof: SpoofDetector, mesh: FaceMesh, rgb: RgbImage) -> float:
    return spoof.live_score(rgb, mesh.process(rgb)[0])


def test_portraits_look_live(
    spoof: SpoofDetector, mesh: FaceMesh, astronaut_rgb: RgbImage, hopper_rgb: RgbImage
) -> None:
    for rgb in (astronaut_rgb, hopper_rgb):
        limit = REQUIREMENTS[Policy.PASSIVE].least_live_score(len(spoof.networks))
        assert limit < score(spoof, mesh, rgb) <= 1.0


@needs_shared_data
def test_a_live_face_is_live_and_a_photograph_held_up_is_not(spoof: SpoofDetector, mesh: FaceMesh) -> None:
    assert score(spoof, mesh, read_image(data_file("spoof/image_T1.jpg"))) > 0.95
    assert score(spoof, mesh, read_image(data_file("spoof/image_F1.jpg"))) < 0.05


@needs_shared_data
def test_people_in_clips_look_live(spoof: SpoofDetector, mesh: FaceMesh) -> None:
    for clip in GRID_CLIPS:
        assert score(spoof, mesh, read_clip(clip.path, 0, 1)[0]) > 0.9, clip.name


def test_the_network_is_fed_blue_first_and_unscaled(mesh: FaceMesh, good_picture: RgbImage) -> None:
    class Recorder:
        def run(self, batch: Tensor) -> Tensor:
            self.batch = batch
            return np.array([[1000.0, 999.0, 998.0]], np.float32)

    network = Recorder()
    red = np.zeros_like(good_picture)
    red[:, :, 0] = 200
    detector = SpoofDetector([SpoofNetwork(network, scale=1.5, size=128, live_class=0)])
    score = detector.live_score(red, mesh.process(good_picture)[0])
    assert network.batch.shape == (1, 3, 128, 128)
    assert network.batch.dtype == np.float32
    assert [float(np.median(channel)) for channel in network.batch[0]] == [0.0, 0.0, 200.0]
    assert score == pytest.approx(0.6652, abs=1e-3)

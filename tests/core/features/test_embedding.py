"""The same person comes out alike, different people do not, on real faces."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.face_mesh import FaceMesh
from core.features.embedder.network import Embedder
from core.imaging.alignment import align
from core.networks import Tensor
from core.types import Embedding, RgbImage
from testkit.clips import GRID_CLIPS, read_clip, read_image
from testkit.recognised import recognised
from tests.conftest import data_file, needs_shared_data

IMPOSTORS_AT_1E_4 = 0.412
"""The cosine that one of ten thousand pairs of different people reaches on LFW."""


@pytest.fixture(scope="module")
def embedder(model_dir: Path) -> Embedder:
    return Embedder.load(model_dir / "fr_feature.onnx")


def embedded(embedder: Embedder, mesh: FaceMesh, rgb: RgbImage) -> Embedding:
    return recognised(embedder.embed(align(rgb, mesh.process(rgb)[0]).crop))


def test_an_embedding_has_512_numbers_and_length_one(
    embedder: Embedder, mesh: FaceMesh, good_picture: RgbImage
) -> None:
    vector = embedded(embedder, mesh, good_picture)
    assert vector.shape == (512,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(vector, embedded(embedder, mesh, good_picture))


def test_two_people_are_not_alike(
    embedder: Embedder, mesh: FaceMesh, good_picture: RgbImage, hopper_rgb: RgbImage
) -> None:
    assert float(embedded(embedder, mesh, good_picture) @ embedded(embedder, mesh, hopper_rgb)) < 0.3


def turned(rgb: RgbImage) -> RgbImage:
    size = (rgb.shape[1], rgb.shape[0])
    return np.asarray(cv2.warpAffine(rgb, cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), 30, 1.0), size), np.uint8)


def halved(rgb: RgbImage) -> RgbImage:
    return np.asarray(cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)


def blurred(rgb: RgbImage) -> RgbImage:
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), 1.5), np.uint8)


def darkened(rgb: RgbImage) -> RgbImage:
    return rgb // 2


def mirrored(rgb: RgbImage) -> RgbImage:
    return np.ascontiguousarray(rgb[:, ::-1])


@pytest.mark.parametrize("change", [turned, halved, blurred, darkened, mirrored])
def test_one_person_stays_alike(
    embedder: Embedder,
    mesh: FaceMesh,
    good_picture: RgbImage,
    hopper_rgb: RgbImage,
    change: Callable[[RgbImage], RgbImage],
) -> None:
    for rgb in (good_picture, hopper_rgb):
        assert float(embedded(embedder, mesh, rgb) @ embedded(embedder, mesh, change(rgb))) > 0.7


@needs_shared_data
def test_speakers_are_like_themselves_and_unlike_each_other(embedder: Embedder, mesh: FaceMesh) -> None:
    vectors = [
        (clip.speaker, [embedded(embedder, mesh, frame) for frame in read_clip(clip.path, 0, 61)[::30]])
        for clip in GRID_CLIPS
    ]
    for speaker, own in vectors:
        assert min(float(a @ b) for a, b in combinations(own, 2)) > 0.8, speaker
    for (speaker, some), (other, more) in combinations(vectors, 2):
        similarities = [float(a @ b) for a in some for b in more]
        if speaker == other:
            assert min(similarities) > 0.8
        else:
            assert max(similarities) < IMPOSTORS_AT_1E_4, (speaker, other)


def test_the_network_is_fed_blue_first_from_minus_one_to_one(mesh: FaceMesh, good_picture: RgbImage) -> None:
    class Recorder:
        def run(self, batch: Tensor) -> Tensor:
            self.batch = batch
            return np.array([[3.0, 4.0]], np.float32)

    network = Recorder()
    reddish = np.zeros_like(good_picture)
    reddish[:, :, 0] = 255
    vector = Embedder(network).embed(align(reddish, mesh.process(good_picture)[0]).crop)
    assert network.batch.shape == (1, 3, 112, 112)
    assert network.batch.dtype == np.float32
    assert [float(np.median(channel)) for channel in network.batch[0]] == [-1.0, -1.0, 1.0]
    assert vector == pytest.approx([0.6, 0.8])


@needs_shared_data
def test_two_pictures_of_one_person_are_alike(embedder: Embedder, mesh: FaceMesh) -> None:
    folders = [folder for folder in sorted(data_file("lfw/images").iterdir()) if len(list(folder.iterdir())) > 2][:12]
    vectors = [
        [embedded(embedder, mesh, read_image(path)) for path in sorted(folder.iterdir())[:2]] for folder in folders
    ]
    assert min(float(one @ two) for one, two in vectors) > IMPOSTORS_AT_1E_4
    assert max(float(a @ b) for (a, _), (_, b) in combinations(vectors, 2)) < IMPOSTORS_AT_1E_4

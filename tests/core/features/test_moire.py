"""A regular pattern in a face is found, at whatever angle, in brightness or colour; skin has none."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from core.face_mesh import FaceMesh
from core.features.moire import moire_peak
from core.imaging.frames import ImageLimits, decode_image, read_header
from core.liveness.limits import MOIRE
from core.types import MeshFace, RgbImage
from testkit.clips import encode_jpeg
from testkit.faces.portrait import framed

Pattern = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def picture(hopper_rgb: RgbImage, mesh: FaceMesh) -> RgbImage:
    return framed(hopper_rgb, mesh)


@pytest.fixture(scope="module")
def face(picture: RgbImage, mesh: FaceMesh) -> MeshFace:
    return mesh.process(picture)[0]


def grid(rgb: RgbImage, cycles: float, angle_deg: float) -> Pattern:
    """(height, width, 1), -1..1: `cycles` per pixel."""
    rows, columns = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    along = columns * np.cos(np.radians(angle_deg)) + rows * np.sin(np.radians(angle_deg))
    return np.asarray(np.sin(2 * np.pi * cycles * along)[:, :, np.newaxis])


def scaled(rgb: RgbImage, by: Pattern) -> RgbImage:
    return np.asarray(np.clip(rgb * by, 0, 255), np.uint8)


def arrived(rgb: RgbImage, quality: int, limits: ImageLimits) -> RgbImage:
    data = encode_jpeg(rgb, quality)
    return decode_image(data, read_header(data, limits)).rgb


def peak(rgb: RgbImage, face: MeshFace) -> float:
    found = moire_peak(rgb, face)
    assert found is not None
    return found


def test_portraits_have_no_grid(
    picture: RgbImage, face: MeshFace, astronaut_rgb: RgbImage, mesh: FaceMesh, limits: ImageLimits
) -> None:
    assert peak(picture, face) < MOIRE
    assert peak(astronaut_rgb, mesh.process(astronaut_rgb)[0]) < MOIRE
    for quality in (40, 85, 95):
        assert peak(arrived(picture, quality, limits), face) < MOIRE


@pytest.mark.parametrize("angle_deg", [0.0, 37.0, 90.0])
@pytest.mark.parametrize("cycles", [0.2, 0.3, 0.4])
def test_a_grid_is_found_also_after_jpeg(
    picture: RgbImage, face: MeshFace, limits: ImageLimits, cycles: float, angle_deg: float
) -> None:
    displayed = scaled(picture, 1 + 0.15 * grid(picture, cycles, angle_deg))
    assert peak(displayed, face) >= MOIRE
    assert peak(arrived(displayed, 85, limits), face) >= MOIRE


def test_a_grid_of_colour_alone_is_found(picture: RgbImage, face: MeshFace) -> None:
    """Red goes up where blue goes down: the brightness stays."""
    assert peak(scaled(picture, 1 + 0.1 * grid(picture, 0.3, 20.0) * np.array([1.0, 0.0, -1.0])), face) >= MOIRE


def test_a_stronger_grid_stands_out_more(picture: RgbImage, face: MeshFace) -> None:
    peaks = [peak(scaled(picture, 1 + share * grid(picture, 0.3, 10.0)), face) for share in (0.0, 0.05, 0.1, 0.2)]
    assert peaks == sorted(peaks)


def test_noise_is_no_grid(picture: RgbImage, face: MeshFace) -> None:
    noise = np.random.default_rng(0).normal(0, 15, picture.shape)
    assert peak(np.asarray(np.clip(picture + noise, 0, 255), np.uint8), face) < MOIRE


def test_a_grid_beside_the_face_is_none_in_it(picture: RgbImage, face: MeshFace) -> None:
    blinds = picture.copy()
    blinds[:, :160] = scaled(picture, 1 + 0.3 * grid(picture, 0.3, 90.0))[:, :160]
    assert peak(blinds, face) == peak(picture, face)


def test_a_face_at_the_edge_is_looked_at_as_far_as_it_goes(picture: RgbImage, face: MeshFace) -> None:
    middle = face.points[:, :2].mean(axis=0).astype(int)
    cut = np.ascontiguousarray(picture[middle[1] - 20 :, middle[0] - 20 :])
    assert moire_peak(cut, face) is not None


def test_a_frame_smaller_than_the_patch_says_nothing(picture: RgbImage, face: MeshFace) -> None:
    assert moire_peak(np.ascontiguousarray(picture[:127]), face) is None
    assert moire_peak(np.ascontiguousarray(picture[:, :100]), face) is None

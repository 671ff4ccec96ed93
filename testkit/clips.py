"""Real faces: two portraits that come with packages, and the shared clips and pictures where present."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from matplotlib.cbook import get_sample_data

from core.types import RgbImage

SHARED_DATA = Path(os.environ.get("SHARED_DATA_DIR") or Path(__file__).resolve().parents[1].parent / "shared" / "data")


@dataclass(frozen=True, slots=True)
class GridClip:
    """One clip of the GRID corpus: 360x288, 25 frames/s, 75 frames, one speaker with real blinks."""

    name: str
    speaker: str
    blink_frames: tuple[int, ...]
    """Frames near which a blink begins, counted from 0."""

    @property
    def path(self) -> Path:
        return SHARED_DATA / "grid" / f"{self.name}.mpg"


GRID_CLIPS = (
    GridClip("bbaf2n", "bbaf2n", (43, 50)),
    GridClip("brbk7n", "brbk7n", (21,)),
    GridClip("lbax4n", "lbax4n", (28,)),
    GridClip("lrwp9a", "lrwp9a", (72,)),
    GridClip("pwij3p", "pwij3p", (35, 48)),
    GridClip("id2_vcd_swwp2s", "pwij3p", (27, 43, 72)),
    GridClip("sbia1a", "sbia1a", ()),
)
"""Two clips show the same speaker; the others each show a different one."""


def shared_data_available() -> bool:
    return (SHARED_DATA / "README.md").is_file()


def read_clip(path: Path, start: int = 0, stop: int | None = None) -> list[RgbImage]:
    """Frames `start` to `stop` (not included; None: to the end) of a video.

    A clip shorter than `stop` gives the frames it has. Raises FileNotFoundError, or ValueError for
    a file that is no video.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise ValueError(f"not a video: {path}")
        return _read_frames(capture, start, stop)
    finally:
        capture.release()


def _read_frames(capture: cv2.VideoCapture, start: int, stop: int | None) -> list[RgbImage]:
    # Seeking in MPEG lands on key frames only, so frames before `start` are decoded and discarded.
    frames: list[RgbImage] = []
    index = 0
    while stop is None or index < stop:
        found, bgr = capture.read()
        if not found:
            break
        if index >= start:
            frames.append(_swap_red_and_blue(bgr))
        index += 1
    return frames


def read_image(path: Path) -> RgbImage:
    """Read a picture file. Raises FileNotFoundError, or ValueError where it cannot be decoded."""
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise ValueError(f"not a picture: {path}")
    return _swap_red_and_blue(bgr)


def encode_jpeg(rgb: RgbImage, quality: int = 90) -> bytes:
    encoded, data = cv2.imencode(".jpg", _swap_red_and_blue(rgb), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not encoded:
        raise ValueError(f"cannot encode an image of shape {rgb.shape}")
    return data.tobytes()


def astronaut() -> RgbImage:
    """Eileen Collins, 512x512, smiling; a NASA picture in the public domain."""
    return np.array(skimage.data.astronaut(), np.uint8)


def grace_hopper() -> RgbImage:
    """Grace Hopper, 600x512, with glasses and a closed mouth; a US Navy picture in the public domain."""
    return read_image(Path(get_sample_data("grace_hopper.jpg", asfileobj=False)))


def _swap_red_and_blue(image: cv2.typing.MatLike) -> RgbImage:
    return np.ascontiguousarray(image[:, :, ::-1], np.uint8)

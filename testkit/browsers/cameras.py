"""Cameras for browsers: clips that Chromium's camera plays, and scripts for a page's start that handle its camera."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from core.types import RgbImage
from testkit import clips
from testkit.faces import portrait

HANDLED = (Path(__file__).parent / "handled_camera.js").read_text()
"""Gives the page `handledCamera` with `turn()`, `unplug()` and `freeze()`."""
PROMPT_IGNORED = "navigator.mediaDevices.getUserMedia = () => new Promise(() => {});"
"""Nobody answers whether the page may use the camera. A headless Chromium would refuse in their place."""


def write_face_clip(path: Path) -> None:
    """Write an MJPEG file of a person, longer than a session: it is played in a loop, which is detected as a replay."""
    speaker = clips.SHARED_DATA / "live" / "d10.mp4"
    if speaker.is_file():
        _write_clip(path, clips.read_clip(speaker))
    else:
        performance = "--actions blink,blink --fps 30 --size 640x480 --out"
        assert portrait.main([*performance.split(), str(path)]) == 0


def write_black_clip(path: Path) -> None:
    """Write an MJPEG file of a camera with its cover on."""
    _write_clip(path, [np.zeros((480, 640, 3), np.uint8)] * 30)


def _write_clip(path: Path, frames: Iterable[RgbImage]) -> None:
    path.write_bytes(b"".join(clips.encode_jpeg(frame) for frame in frames))

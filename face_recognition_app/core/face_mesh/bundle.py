"""The networks in the landmarker's bundle."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.networks import OpenVinoNetwork, read_image_network


@contextmanager
def unpacked(bundle: Path) -> Iterator[Path]:
    """A directory with the bundle's files, until the block ends: OpenVINO reads this format from files only."""
    with tempfile.TemporaryDirectory() as directory, zipfile.ZipFile(bundle) as archive:
        archive.extractall(directory)
        yield Path(directory)


def read_detector(files: Path, threads: int = 1) -> OpenVinoNetwork:
    """The face detector of an unpacked bundle."""
    return read_image_network(files / "face_detector.tflite", -1.0, 1.0, threads)

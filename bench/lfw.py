"""Pictures of Labeled Faces in the Wild that the pairs of folds 1 to 4 show."""

from __future__ import annotations

from bench.verification.accuracy import read_pairs
from core.imaging.frames import ImageLimits
from testkit.clips import SHARED_DATA

FOLDER = SHARED_DATA / "lfw"
IMAGES = FOLDER / "images"
LIMITS = ImageLimits(max_bytes=10 * 2**20, max_pixels=25_000_000)


def picture_names() -> list[str]:
    """Paths within IMAGES, sorted: a person's folder, then the picture."""
    return sorted({name for pair in read_pairs(FOLDER / "pairs.csv") for name in (pair.left, pair.right)})

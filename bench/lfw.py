"""Pictures of Labeled Faces in the Wild that the pairs of folds 1 to 4 show."""

from __future__ import annotations

from bench.verification.accuracy import read_pairs
from core.imaging.frames import ImageLimits
from testkit.clips import SHARED_DATA

FOLDER = SHARED_DATA / "lfw"
IMAGES = FOLDER / "images"
LIMITS = ImageLimits(max_bytes=10 * 2**20, max_pixels=25_000_000)
_TWO_NAMES = {
    "Hassan_Wirajuda": "Hasan_Wirayuda",
    "Chyung_Dai-chul": "Dai_Chul_Chyung",
    "Flor_Montulo": "Nora_Bendijo",
}
"""One person under two names, or pictures of two people in each other's folders, as one sees: such pairs are not of
different people, and there are more of them than false matches at rates below 1e-6."""


def picture_names() -> list[str]:
    """Paths within IMAGES, sorted: a person's folder, then the picture."""
    return sorted({name for pair in read_pairs(FOLDER / "pairs.csv") for name in (pair.left, pair.right)})


def person_of(name: str) -> str:
    """Name of the person in a picture: its folder, or the first of two names of one person."""
    folder = name.split("/")[0]
    return _TWO_NAMES.get(folder, folder)

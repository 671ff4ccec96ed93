"""Error rates of a group of people among themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.types import Embedding

_WOMEN = Path(__file__).with_name("women.txt")


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """`fmr` of all pairs of different people, `fnmr` of all pairs of one; NaN without such a pair."""

    people: int
    impostor_pairs: int
    fmr: float
    genuine_pairs: int
    fnmr: float


def error_rates(pictures: Sequence[tuple[str, Embedding]], threshold: float) -> ErrorRates:
    """Compare every picture of a person with every other."""
    names = [name for name, _ in pictures]
    numbers = np.unique(names, return_inverse=True)[1] if names else np.zeros(0, int)
    vectors = np.array([vector for _, vector in pictures], np.float32)
    impostors = genuine = false_matches = false_non_matches = 0
    for at in range(1, len(pictures)):
        matches = vectors[:at] @ vectors[at] >= threshold
        same = numbers[:at] == numbers[at]
        genuine += int(same.sum())
        impostors += int((~same).sum())
        false_matches += int((matches & ~same).sum())
        false_non_matches += int((~matches & same).sum())
    return ErrorRates(
        len(set(names)),
        impostors,
        false_matches / impostors if impostors else float("nan"),
        genuine,
        false_non_matches / genuine if genuine else float("nan"),
    )


def women() -> frozenset[str]:
    """Names of the women among the people of folds 1 to 4 of Labeled Faces in the Wild."""
    return frozenset(_WOMEN.read_text().split())

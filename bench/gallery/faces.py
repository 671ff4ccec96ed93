"""Random templates with neighbours as faces have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

DIMENSION = 512
TEMPLATES_OF_EACH = 3
ENROLLED = (0.75, 0.95)
"""Cosines of templates to their person."""
SHOWN = (0.45, 0.9)
"""Cosines of probes to their person."""
STRETCH = 128.0
"""The first dimensions vary most, until the n-th varies by 1/sqrt(1 + n / STRETCH): strangers' cosines deviate by 0.05
in place of 0.044."""

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Crowd:
    """`templates`: three in a row of each person, (n, dimension); `people`: a person each, turned as they are."""

    people: Vectors
    templates: Vectors

    @classmethod
    def of(cls, templates: int, seed: int) -> Crowd:
        random = np.random.default_rng(seed)
        people = _anybody(random, -(-templates // TEMPLATES_OF_EACH))
        found = np.empty((templates, DIMENSION), np.float32)
        for number in range(TEMPLATES_OF_EACH):
            part = found[number::TEMPLATES_OF_EACH]
            part[:] = _pictures(random, people[: len(part)], ENROLLED)
        return cls(people, found)

    def probes(self, number: int, seed: int) -> Vectors:
        """Pictures of enrolled people, each of another one as far as there are enough."""
        random = np.random.default_rng(seed)
        return _pictures(random, self.people[random.permutation(len(self.people))[:number]], SHOWN)


def _anybody(random: np.random.Generator, number: int) -> Vectors:
    spread = 1 / np.sqrt(1 + np.arange(DIMENSION) / STRETCH)
    found = _unit(random.standard_normal((number, DIMENSION), np.float32) * spread.astype(np.float32))
    return np.asarray(found @ _turn(), np.float32)


def _turn() -> Vectors:
    """One rotation for all, after which every dimension varies alike."""
    turned, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((DIMENSION, DIMENSION)))
    return np.asarray(turned, np.float32)


def _pictures(random: np.random.Generator, people: Vectors, cosines: tuple[float, float]) -> Vectors:
    wanted = random.uniform(*cosines, (len(people), 1)).astype(np.float32)
    away = _anybody(random, len(people))
    away = _unit(away - (away * people).sum(axis=1, keepdims=True) * people)
    return _unit(wanted * people + np.sqrt(1 - wanted**2) * away)


def _unit(vectors: npt.NDArray[Any]) -> Vectors:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

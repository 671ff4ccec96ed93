"""Error rates of identification, measured on templates of which it is known whose they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.features.embedder.false_matches import FalseMatches, Similarities, measure
from core.types import Embeddings
from gallery.rates.bounds import lower_bound, upper_bound

LEAST_SUBJECTS = 200
"""With 100 people of Labeled Faces in the Wild a tenth of the draws had more than 6.8 times the false matches meant, at
1e-6; with 200 more than 3 times (docs/accuracy.md)."""
_BLOCK = 256


class TooFewSubjects(Exception):
    """The message says how many there are and how many are needed."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Templates (n, dimension), and whose each is."""

    vectors: Embeddings
    subjects: Sequence[str]


@dataclass(frozen=True, slots=True)
class Rate:
    """Errors that were counted, with the limits of their rate: each holds with a confidence of 95 %."""

    errors: int
    tries: int

    @property
    def value(self) -> float:
        return self.errors / self.tries if self.tries else float("nan")

    @property
    def low(self) -> float:
        return lower_bound(self.errors, self.tries) if self.tries else 0.0

    @property
    def high(self) -> float:
        return upper_bound(self.errors, self.tries) if self.tries else 1.0


@dataclass(frozen=True, slots=True)
class Compared:
    """All templates compared with all others.

    `impostors`: similarities of all pairs of different subjects. By template as a probe: `best_other` is the similarity
    to the most similar other subject, `best_own` that to the subject's other templates, -inf without any.
    """

    templates: int
    subjects: int
    impostors: Similarities
    best_other: Similarities
    best_own: Similarities

    def fpir(self, threshold: float) -> Rate:
        """False positive identifications by probes of people who are not enrolled: their own templates do not count."""
        return Rate(int((self.best_other >= threshold).sum()), len(self.best_other))

    def fnir(self, threshold: float) -> Rate:
        """People with another template who are not found, or somebody else before them."""
        has_own = self.best_own > -np.inf
        found = (self.best_own >= threshold) & (self.best_own > self.best_other)
        return Rate(int((has_own & ~found).sum()), int(has_own.sum()))

    def measure(self, tail_shape: float) -> FalseMatches:
        """Raises TooFewSubjects."""
        if self.subjects < LEAST_SUBJECTS:
            raise TooFewSubjects(f"a calibration needs {LEAST_SUBJECTS} people or more, and there are {self.subjects}")
        return measure(self.impostors, tail_shape)


def compare_all(labelled: Labelled, step: Callable[[int, int], None]) -> Compared:
    """Compare every template with every other. `step` is told how many of how many are done."""
    vectors, count = labelled.vectors, len(labelled.subjects)
    numbers = np.unique(labelled.subjects, return_inverse=True)[1] if count else np.zeros(0, int)
    impostors, best_other, best_own = [], [], []
    for begin in range(0, count, _BLOCK):
        end = min(count, begin + _BLOCK)
        similar = vectors[begin:end] @ vectors.T
        own = numbers[begin:end, None] == numbers
        later = np.arange(count) > np.arange(begin, end)[:, None]
        impostors.append(similar[~own & later])
        best_other.append(np.where(own, -np.inf, similar).max(axis=1))
        own[np.arange(end - begin), np.arange(begin, end)] = False
        best_own.append(np.where(own, similar, -np.inf).max(axis=1))
        step(end, count)
    return Compared(count, len(set(labelled.subjects)), _joined(impostors), _joined(best_other), _joined(best_own))


def _joined(parts: Sequence[Similarities]) -> Similarities:
    return np.concatenate([np.zeros(0, np.float32), *parts])

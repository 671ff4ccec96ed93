"""Error rates of identification, measured on templates of which it is known whose they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.features.embedder.false_matches import FalseMatches, Similarities, measure
from core.types import Embeddings
from gallery.bounds import lower_bound, upper_bound
from gallery.matching import Gallery
from gallery.models import Template
from gallery.protection import Protected
from tenants.models import Tenant

MOST_TEMPLATES = 4_096
"""Templates that are compared with each other, of subjects chosen at random: 8 million pairs."""
LEAST_SUBJECTS = 200
"""Of 100 people of Labeled Faces in the Wild, false matches meant to be 1e-6 were seven times as many at worst in ten
draws; of 200 three times (docs/accuracy.md)."""
PAGE = 1_000
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


def read(tenant: Tenant, gallery: Gallery) -> Labelled:
    """The tenant's templates of the gallery's model, at most MOST_TEMPLATES."""
    rows = Template.objects.filter(tenant=tenant, model_id=gallery.model_id)
    whose = dict(rows.order_by("pk").values_list("pk", "subject__subject_id"))
    chosen = list(whose)
    if len(chosen) > MOST_TEMPLATES:
        chosen = _of_some_subjects(whose)
    vectors, subjects = [], []
    for begin in range(0, len(chosen), PAGE):
        for pk, stored in rows.filter(pk__in=chosen[begin : begin + PAGE]).values_list("pk", "vector"):
            vectors.append(Protected(bytes(stored)))
            subjects.append(whose[pk])
    return Labelled(gallery.protection.restore(vectors, tenant), subjects)


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


def _of_some_subjects(whose: Mapping[int, str]) -> list[int]:
    """All templates of subjects chosen at random, the same ones each time."""
    by_subject: dict[str, list[int]] = defaultdict(list)
    for pk, subject in whose.items():
        by_subject[subject].append(pk)
    names = sorted(by_subject)
    np.random.default_rng(0).shuffle(names)
    chosen: list[int] = []
    for name in names:
        if len(chosen) + len(by_subject[name]) > MOST_TEMPLATES:
            break
        chosen += by_subject[name]
    return chosen


def _joined(parts: Sequence[Similarities]) -> Similarities:
    return np.concatenate([np.zeros(0, np.float32), *parts])

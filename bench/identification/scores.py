"""Identification of one picture enrolled of each person: similarities, thresholds and error rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.features.embedder.false_matches import measure, tail_shape
from core.features.embedder.profile import PINNED, EmbedderProfile
from core.types import Embedding
from gallery.rates.identification_rates import Labelled, Rate, compare_all
from gallery.thresholds import threshold_for

Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Picture:
    person: str
    embedding: Embedding


@dataclass(frozen=True, slots=True)
class Point:
    """Error rates at one threshold; `rule` says where that came from."""

    rule: str
    target: float
    threshold: float
    fpir: Rate
    fnir: Rate


@dataclass(frozen=True, slots=True)
class Probes:
    """Every picture but the enrolled ones as a probe: `own`, its similarity to its person's template, and `other`, the
    highest similarity to anybody else's. It is a mated probe with both, and a non-mated one without its person's."""

    enrolled: int
    own: Scores
    other: Scores

    def at(self, rule: str, target: float, threshold: float) -> Point:
        found = (self.own >= threshold) & (self.own > self.other)
        false = Rate(int((self.other >= threshold).sum()), len(self.other))
        return Point(rule, target, threshold, false, Rate(int((~found).sum()), len(self.own)))

    def calibrated(self, target: float) -> Point:
        """At the lowest threshold with at most `target` false positives among these probes."""
        highest = np.sort(self.other)[::-1]
        threshold = float(np.nextafter(highest[int(target * len(highest))], np.float32(2)))
        return self.at("calibrated", target, threshold)

    def by_rule(self, rule: str, target: float, profile: EmbedderProfile) -> Point:
        return self.at(rule, target, threshold_for(target, self.enrolled, profile))


def probes_of(pictures: Sequence[Picture]) -> Probes:
    """The first picture of each person is enrolled, the others are probes."""
    first: dict[str, Embedding] = {}
    others = [
        picture for picture in pictures if first.setdefault(picture.person, picture.embedding) is not picture.embedding
    ]
    similar = np.stack([picture.embedding for picture in others]) @ np.stack(list(first.values())).T
    is_own = np.array([picture.person for picture in others])[:, None] == np.array(list(first))
    return Probes(len(first), similar[is_own], np.where(is_own, -np.inf, similar).max(axis=1))


def held_out(pictures: Sequence[Picture], targets: Sequence[float], draws: int) -> list[Point]:
    """Rules that were measured on one half of the people, on the other half: all draws together, each half once.

    The counts of all draws are added up, so their limits would be too narrow: a person is in half of them.
    """
    people = sorted({picture.person for picture in pictures})
    points: list[Point] = []
    for draw in range(draws):
        chosen = np.random.default_rng(draw).permutation(len(people)) < len(people) // 2
        ones = {person for person, is_one in zip(people, chosen, strict=True) if is_one}
        halves = [p for p in pictures if p.person in ones], [p for p in pictures if p.person not in ones]
        for measured_on, tested_on in (halves, halves[::-1]):
            points += _tested(profile_of(measured_on), probes_of(tested_on), targets)
    return [_together([p for p in points if (p.rule, p.target) == key]) for key in _keys(points)]


def profile_of(pictures: Sequence[Picture]) -> EmbedderProfile:
    """The pinned profile with rates and tail of all pairs of these pictures."""
    labelled = Labelled(np.stack([p.embedding for p in pictures]), [p.person for p in pictures])
    impostors = compare_all(labelled, lambda done, total: None).impostors
    shape = tail_shape(impostors)
    found = measure(impostors, shape)
    return EmbedderProfile(
        PINNED.sha256,
        found.fmr,
        found.similarity,
        shape,
        found.tail_scale,
        PINNED.another_person,
        PINNED.covered_rise,
        PINNED.least_length,
    )


def _tested(profile: EmbedderProfile, probes: Probes, targets: Sequence[float]) -> list[Point]:
    return [
        point
        for target in targets
        for point in (probes.by_rule("held out", target, profile), probes.calibrated(target))
    ]


def _keys(points: Sequence[Point]) -> list[tuple[str, float]]:
    return list(dict.fromkeys((point.rule, point.target) for point in points))


def _together(points: Sequence[Point]) -> Point:
    def total(rates: Sequence[Rate]) -> Rate:
        return Rate(sum(rate.errors for rate in rates), sum(rate.tries for rate in rates))

    threshold = math.fsum(point.threshold for point in points) / len(points)
    first = points[0]
    return Point(first.rule, first.target, threshold, total([p.fpir for p in points]), total([p.fnir for p in points]))

"""Accuracy of similarities of labelled pairs, over folds."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FALSE_MATCH_RATES = (1e-2, 1e-3)


@dataclass(frozen=True, slots=True)
class Pair:
    fold: int
    left: str
    right: str
    same: bool


@dataclass(frozen=True, slots=True)
class Fold:
    """`threshold`: chosen on the other folds."""

    fold: int
    accuracy: float
    threshold: float
    pairs: int


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    fmr: float
    threshold: float
    tar: float


@dataclass(frozen=True, slots=True)
class Accuracy:
    """`std`: standard deviation over the folds. `refused`: pairs without a similarity."""

    folds: list[Fold]
    mean: float
    std: float
    operating_points: list[OperatingPoint]
    refused: int


def read_pairs(path: Path) -> list[Pair]:
    with path.open(newline="") as file:
        return [Pair(int(row["fold"]), row["left"], row["right"], row["same"] == "1") for row in csv.DictReader(file)]


def evaluate(pairs: Sequence[Pair], similarities: Sequence[float]) -> Accuracy:
    """`similarities`: NaN for a pair that was refused. It compares as False, so no threshold makes the pair right."""
    scores = np.array(similarities, np.float64)
    same = np.array([pair.same for pair in pairs])
    numbers = np.array([pair.fold for pair in pairs])
    folds = [_evaluate_fold(int(fold), scores, same, numbers == fold) for fold in np.unique(numbers)]
    accuracies = [fold.accuracy for fold in folds]
    return Accuracy(
        folds=folds,
        mean=float(np.mean(accuracies)),
        std=float(np.std(accuracies)),
        operating_points=[operating_point(scores, same, fmr) for fmr in FALSE_MATCH_RATES],
        refused=int(np.isnan(scores).sum()),
    )


def _evaluate_fold(fold: int, scores: Floats, same: Flags, inside: Flags) -> Fold:
    threshold = best_threshold(scores[~inside], same[~inside])
    return Fold(fold, accuracy(scores[inside], same[inside], threshold), threshold, int(inside.sum()))


def accuracy(scores: Floats, same: Flags, threshold: float) -> float:
    right = np.where(same, scores >= threshold, scores < threshold)
    return float(right.mean())


def best_threshold(scores: Floats, same: Flags) -> float:
    """The threshold with the highest accuracy; of several, the middle one."""
    values = np.unique(scores[~np.isnan(scores)])
    candidates = (values[1:] + values[:-1]) / 2
    accuracies = np.array([accuracy(scores, same, threshold) for threshold in candidates])
    best = np.flatnonzero(accuracies == accuracies.max())
    return float(candidates[best[len(best) // 2]])


def operating_point(scores: Floats, same: Flags, fmr: float) -> OperatingPoint:
    """The lowest threshold that accepts at most `fmr` of all impostor pairs."""
    impostors = np.sort(np.nan_to_num(scores[~same], nan=-1.0))[::-1]
    allowed = int(fmr * len(impostors))
    threshold = float(np.nextafter(impostors[allowed], 2.0))
    return OperatingPoint(fmr, threshold, float((scores[same] >= threshold).mean()))

"""Measurement of false match rates, and of the tail beyond them, on similarities of different people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RATES = (1e-2, 1e-3, 1e-4, 1e-5)
LEAST_FALSE_MATCHES = 10
"""At a threshold that is measured."""
_TAIL = 1e-3
"""Share of the similarities that are the tail: a smaller one has too few, a larger one not yet the limit's form."""
_LEAST_TAIL = 100
"""Similarities in the tail, whose share is raised to reach them."""

Similarities = npt.NDArray[np.float32]


class TooFewPairs(Exception):
    """Fewer than two rates can be measured."""


@dataclass(frozen=True, slots=True)
class FalseMatches:
    """Rates from the largest down, the raw cosine at which each is reached, and the scale of the generalised Pareto
    distribution of what exceeds the last one."""

    fmr: tuple[float, ...]
    similarity: tuple[float, ...]
    tail_scale: float


def measure(impostors: Similarities, tail_shape: float) -> FalseMatches:
    """Measure the similarities of pairs of different people. Raises TooFewPairs.

    The scale comes from the mean excess over the tail's beginning, which is scale / (1 - shape), and changes from there
    by `tail_shape` for each unit of similarity.
    """
    rates = tuple(rate for rate in RATES if rate * len(impostors) >= LEAST_FALSE_MATCHES)
    if len(rates) < 2:
        raise TooFewPairs(f"{len(impostors)} pairs of different people")
    similarities = tuple(round(float(np.quantile(impostors, 1 - rate)), 3) for rate in rates)
    begin, excesses = _tail(impostors)
    scale = (1 - tail_shape) * float(excesses.mean()) + tail_shape * (similarities[-1] - begin)
    return FalseMatches(rates, similarities, round(scale, 4))


def tail_shape(impostors: Similarities) -> float:
    """The shape of the tail by probability-weighted moments; below 0 the tail has an end.

    J. R. M. Hosking, J. R. Wallis, "Parameter and quantile estimation for the generalized Pareto distribution",
    Technometrics 29(3), 1987.
    """
    _, excesses = _tail(impostors)
    excesses = np.sort(excesses)
    above = 1 - (np.arange(1, len(excesses) + 1) - 0.35) / len(excesses)
    mean, weighted = float(excesses.mean()), float((above * excesses).mean())
    return 2 - mean / (mean - 2 * weighted)


def _tail(impostors: Similarities) -> tuple[float, npt.NDArray[np.float64]]:
    """Where the tail begins, and what exceeds that."""
    share = max(_TAIL, min(1.0, _LEAST_TAIL / len(impostors)))
    begin = float(np.quantile(impostors, 1 - share))
    return begin, impostors[impostors > begin].astype(np.float64) - begin

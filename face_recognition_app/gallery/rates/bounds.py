"""Confidence limits of rates that were counted."""

from __future__ import annotations

import math

CONFIDENCE = 0.95


def upper_bound(errors: int, tries: int, confidence: float = CONFIDENCE) -> float:
    """The one-sided upper limit of a rate: the p at which `errors` or fewer of `tries` have probability 1 - confidence.

    C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case
    of the binomial", Biometrika 26(4), 1934. Found by bisection; 0 of 300 gives 0.0099.
    """
    if not 0 <= errors <= tries:
        raise ValueError(f"{errors} errors of {tries} tries")
    if errors == tries:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(errors, tries, middle) > 1 - confidence else (low, middle)
    return high


def lower_bound(errors: int, tries: int, confidence: float = CONFIDENCE) -> float:
    """The one-sided lower limit: one less the upper limit of the rate of no error."""
    return 1.0 - upper_bound(tries - errors, tries, confidence)


def _at_most(errors: int, tries: int, rate: float) -> float:
    """The lower tail of the binomial distribution, for 0 < rate < 1."""
    ways = math.lgamma(tries + 1)
    return sum(
        math.exp(
            ways
            - math.lgamma(k + 1)
            - math.lgamma(tries - k + 1)
            + k * math.log(rate)
            + (tries - k) * math.log1p(-rate)
        )
        for k in range(errors + 1)
    )

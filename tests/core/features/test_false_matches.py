"""Rates and tail are those of the distribution that the similarities come from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.features.embedder.false_matches import Similarities, TooFewPairs, measure, tail_shape
from core.features.embedder.profile import PINNED
from gallery.thresholds import threshold_for


def drawn(shape: float, count: int) -> Similarities:
    """Similarities of which a hundredth exceed 0.25, by a generalised Pareto distribution of scale 0.04."""
    ranks = (np.random.default_rng(1).permutation(count) + 0.5) / count
    beyond = 0.25 + 0.04 / shape * np.expm1(-shape * np.log(np.minimum(1.0, ranks / 0.01)))
    return np.asarray(np.where(ranks < 0.01, beyond, 0.1), np.float32)


@pytest.mark.parametrize("shape", [-0.2, -0.086, 0.1])
def test_the_shape_is_found(shape: float) -> None:
    assert tail_shape(drawn(shape, 2_000_000)) == pytest.approx(shape, abs=0.02)


def test_rates_that_were_not_measured_are_extrapolated() -> None:
    impostors = drawn(-0.086, 2_000_000)
    found = measure(impostors[:200_000], -0.086)
    assert found.fmr == (1e-2, 1e-3, 1e-4)
    profile = replace(
        PINNED, fmr=found.fmr, similarity=found.similarity, tail_shape=-0.086, tail_scale=found.tail_scale
    )
    for rate in (1e-3, 1e-4, 1e-5):
        assert threshold_for(rate, 1, profile) == pytest.approx(float(np.quantile(impostors, 1 - rate)), abs=0.012)


def test_of_few_pairs_nothing_is_measured() -> None:
    with pytest.raises(TooFewPairs, match="9999 pairs"):
        measure(drawn(-0.086, 9_999), -0.086)

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.features.embedder.profile import PINNED
from gallery.thresholds import same_person, threshold_for

MEASURED = [(1e-2, 0.244), (1e-3, 0.335), (1e-4, 0.412), (1e-5, 0.479)]

targets = st.floats(1e-12, 0.999)
comparisons = st.integers(0, 10**7)


@pytest.mark.parametrize(("target", "threshold"), MEASURED)
def test_a_measured_rate_has_its_measured_threshold(target: float, threshold: float) -> None:
    assert threshold_for(target, 1) == pytest.approx(threshold, abs=1e-9)


@pytest.mark.parametrize(("target", "threshold"), MEASURED[1:])
def test_a_hundred_comparisons_are_held_to_a_hundredth_of_the_rate(target: float, threshold: float) -> None:
    assert threshold_for(target * 100, 100) == pytest.approx(threshold, abs=1e-9)


def test_one_stream_shows_one_person_at_the_rate_that_is_said() -> None:
    assert threshold_for(1e-3, 1) == pytest.approx(same_person())


def test_an_empty_gallery_counts_as_one_comparison() -> None:
    assert threshold_for(1e-3, 0) == threshold_for(1e-3, 1)


@given(targets, targets, comparisons)
def test_a_stricter_target_never_lowers_the_threshold(one: float, another: float, count: int) -> None:
    strict, lax = sorted([one, another])
    assert threshold_for(strict, count) >= threshold_for(lax, count)


@given(targets, comparisons, comparisons)
def test_more_comparisons_never_lower_the_threshold(target: float, one: int, another: int) -> None:
    few, many = sorted([one, another])
    assert threshold_for(target, many) >= threshold_for(target, few)


@given(targets, comparisons)
def test_a_larger_gallery_never_lowers_what_was_measured(target: float, count: int) -> None:
    lowest, highest = MEASURED[0][1], MEASURED[-1][1]
    found = threshold_for(target, count)
    assert found >= lowest
    assert found <= highest or target / max(1, count) < 1e-5


def test_below_what_was_measured_the_threshold_goes_on_rising() -> None:
    assert threshold_for(1e-6, 1) < threshold_for(1e-6, 10) < threshold_for(1e-6, 1000) < 0.9


def test_the_tail_begins_where_the_measured_rates_end() -> None:
    assert threshold_for(0.99999e-5, 1) == pytest.approx(threshold_for(1e-5, 1), abs=1e-4)


def test_the_rate_beyond_is_that_of_the_tail() -> None:
    """Quantiles of scipy.stats.genpareto.isf(rate / 1e-5, shape, scale=0.025)."""
    for shape, rate, excess in ((-0.086, 1e-6, 0.052223), (-0.086, 1e-8, 0.130210), (0.0, 1e-6, 0.057565)):
        profile = replace(PINNED, tail_shape=shape)
        assert threshold_for(rate, 1, profile) == pytest.approx(0.479 + excess, abs=1e-6)

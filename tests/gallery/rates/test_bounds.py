"""Limits of rates are those of Clopper and Pearson."""

from __future__ import annotations

import pytest

from gallery.rates.bounds import lower_bound, upper_bound


@pytest.mark.parametrize(
    ("errors", "tries", "bound"),
    [(0, 300, 0.009936), (1, 20, 0.216106), (5, 100, 0.102253), (3, 300, 0.025641), (250, 1000, 0.273554)],
)
def test_the_bound_is_that_of_clopper_and_pearson(errors: int, tries: int, bound: float) -> None:
    """Quantiles of the beta distribution (errors + 1, tries - errors) at 0.95, by scipy.stats.beta.ppf."""
    assert upper_bound(errors, tries) == pytest.approx(bound, abs=2e-6)


def test_the_bound_at_its_ends() -> None:
    assert upper_bound(7, 7) == 1.0
    assert upper_bound(0, 0) == 1.0
    with pytest.raises(ValueError, match="3 errors of 2 tries"):
        upper_bound(3, 2)


def test_the_lower_bound_mirrors_the_upper_one() -> None:
    assert lower_bound(0, 300) == 0.0
    assert lower_bound(300, 300) == pytest.approx(1 - upper_bound(0, 300))
    assert lower_bound(5, 100) < 0.05 < upper_bound(5, 100)

"""The histogram of waits and its percentiles."""

from __future__ import annotations

import pytest

from scheduling.waits import NO_WAITS, WAIT_BOUNDS_MS, bin_of, wait_percentile_ms


@pytest.mark.parametrize(
    ("wait_s", "index"), [(0.0, 0), (WAIT_BOUNDS_MS[0] / 1000, 0), (0.0002, 1), (100.0, len(WAIT_BOUNDS_MS) - 1)]
)
def test_a_wait_is_counted_in_its_bin(wait_s: float, index: int) -> None:
    assert bin_of(wait_s) == index


def test_percentiles_are_the_upper_edges_of_their_bins() -> None:
    counts = list(NO_WAITS)
    counts[0], counts[10], counts[-1] = 90, 9, 1
    assert wait_percentile_ms(tuple(counts), 0.5) == 0.0
    assert wait_percentile_ms(tuple(counts), 0.9) == 0.0
    assert wait_percentile_ms(tuple(counts), 0.95) == WAIT_BOUNDS_MS[10]
    assert wait_percentile_ms(tuple(counts), 0.99) == WAIT_BOUNDS_MS[10]
    assert wait_percentile_ms(tuple(counts), 1.0) == WAIT_BOUNDS_MS[-1]


def test_without_waits_every_percentile_is_0() -> None:
    assert wait_percentile_ms(NO_WAITS, 0.99) == 0.0

"""A histogram of waits: counts per bin, so that those of several workers can be added up."""

from __future__ import annotations

from bisect import bisect_left

WAIT_BOUNDS_MS = (0.1, *(round(0.5 * 1.35**step, 2) for step in range(31)))
"""Upper edges of the bins in milliseconds; the last one (about 4 s) also takes longer waits."""
NO_WAITS = (0,) * len(WAIT_BOUNDS_MS)


def bin_of(wait_s: float) -> int:
    """The index of the bin that a wait falls into."""
    return min(bisect_left(WAIT_BOUNDS_MS, 1000 * wait_s), len(WAIT_BOUNDS_MS) - 1)


def wait_percentile_ms(wait_counts: tuple[int, ...], fraction: float) -> float:
    """The upper edge of the bin that holds the given fraction of all waits; 0 for the first bin, and without waits."""
    total = sum(wait_counts)
    seen = 0
    for upper_edge, count in zip(WAIT_BOUNDS_MS, wait_counts, strict=True):
        seen += count
        if count and seen >= fraction * total:
            return upper_edge if upper_edge > WAIT_BOUNDS_MS[0] else 0.0
    return 0.0

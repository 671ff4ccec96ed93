"""Similarity that two faces need, for the number of comparisons made.

Measured with the pinned embedder on all pairs of 7,698 pictures of Labeled Faces in the Wild:
29.6 million impostor and 8,097 genuine pairs, one picture against one.
"""

from __future__ import annotations

import numpy as np

_LOG10_FMR = (-6.0, -5.0, -4.0, -3.0, -2.0)
_THRESHOLD = (0.593, 0.479, 0.412, 0.335, 0.244)

_RISE_PER_DECADE = 0.067

SAME_PERSON = 0.335
"""Similarity from which two pictures of one stream show one person: FMR 1e-3."""


def threshold_for(target: float, comparisons: int) -> float:
    """The raw cosine at which `comparisons` tries of an impostor succeed with probability `target`.

    The best of n comparisons raises the false rate up to n times, so each is held to target / n.
    Between the measured points the logarithm of the rate is interpolated. Below the last one, where
    there were too few pairs to measure, the threshold goes on rising as it did from 1e-4 to 1e-5.
    """
    log_rate = float(np.log10(target / max(1, comparisons)))
    beyond = max(0.0, _LOG10_FMR[0] - log_rate)
    return float(np.interp(log_rate, _LOG10_FMR, _THRESHOLD)) + beyond * _RISE_PER_DECADE

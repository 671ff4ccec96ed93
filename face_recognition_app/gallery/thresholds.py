"""Similarity that two faces need, for the number of comparisons made."""

from __future__ import annotations

import numpy as np

from core.features.embedder.profile import PINNED, EmbedderProfile

_RISE_PER_DECADE = 0.067
_SAME_PERSON_FMR = 1e-3


def threshold_for(target: float, comparisons: int, profile: EmbedderProfile = PINNED) -> float:
    """The raw cosine at which `comparisons` tries of an impostor succeed with probability `target`.

    The best of n comparisons raises the false rate up to n times, so each is held to target / n.
    Between the measured points the logarithm of the rate is interpolated. Below the last one, where there were too few
    pairs to measure, the threshold goes on rising as that of the pinned embedder did from 1e-4 to 1e-5.
    """
    log_rate = float(np.log10(target / max(1, comparisons)))
    measured = np.log10(profile.fmr[::-1])
    beyond = max(0.0, float(measured[0]) - log_rate)
    return float(np.interp(log_rate, measured, profile.similarity[::-1])) + beyond * _RISE_PER_DECADE


def same_person(profile: EmbedderProfile = PINNED) -> float:
    """Similarity from which two pictures of one stream show one person."""
    return threshold_for(_SAME_PERSON_FMR, 1, profile)

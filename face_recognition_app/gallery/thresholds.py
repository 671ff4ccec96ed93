"""Similarity that two faces need, for the number of comparisons made."""

from __future__ import annotations

import math

import numpy as np

from core.features.embedder.profile import PINNED, EmbedderProfile
from gallery.similarity import one_number

_SAME_PERSON_FMR = 1e-3


def threshold_for(target: float, comparisons: int, profile: EmbedderProfile = PINNED) -> float:
    """The raw cosine at which `comparisons` tries of an impostor succeed with probability `target`.

    The best of n comparisons raises the false rate up to n times, so each is held to target / n.
    Between the measured points the logarithm of the rate is interpolated. Beyond the last one, where there were too few
    pairs to measure, the threshold is the quantile of a generalised Pareto distribution.
    """
    rate = target / max(1, comparisons)
    if rate < profile.fmr[-1]:
        return one_number(profile.similarity[-1] + _excess(rate / profile.fmr[-1], profile))
    return one_number(np.interp(np.log10(rate), np.log10(profile.fmr[::-1]), profile.similarity[::-1]))


def _excess(share: float, profile: EmbedderProfile) -> float:
    """The excess over the last measured similarity that `share` of the false matches there reach."""
    decay = -math.log(share)
    shape = profile.tail_shape
    return profile.tail_scale * (decay if shape == 0 else math.expm1(shape * decay) / shape)


def same_person(profile: EmbedderProfile = PINNED) -> float:
    """Similarity from which two pictures of one stream show one person."""
    return threshold_for(_SAME_PERSON_FMR, 1, profile)

"""Attempts to link templates of the same people."""

from __future__ import annotations

import numpy as np
import pytest

from core.types import EMBEDDING_LENGTH, Embeddings

CHANCE = 6 / EMBEDDING_LENGTH**0.5
"""Six standard deviations of the cosine of two unrelated vectors."""


def area_under_curve(one: Embeddings, other: Embeddings) -> float:
    """How often the score of a person's two rows exceeds that of rows of different people; 0.5 is chance."""
    scores = one @ other.T
    mated, others = np.diag(scores), scores[~np.eye(len(scores), dtype=bool)]
    return float(np.mean(mated[:, np.newaxis] > others[np.newaxis]))


def assert_unlinkable(one: Embeddings, other: Embeddings) -> None:
    """Both have the same people, row by row."""
    assert area_under_curve(one, other) == pytest.approx(0.5, abs=4 * (12 * len(one)) ** -0.5)
    assert np.abs(one @ other.T).max() < CHANCE

"""The one number for how similar two faces are: computed and rounded here, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.types import Embedding, Embeddings

DIGITS = 7
"""Decimal places. Two ways to one similarity differ by less than 1e-6; rounding to six places could add as much."""


def one_number(similarity: float) -> float:
    """A similarity, or the threshold for one, as it is compared, stored and shown."""
    return round(float(similarity), DIGITS)


def similarities(templates: Embeddings, probes: Sequence[Embedding]) -> npt.NDArray[np.float64]:
    """Similarity of each template, (n, dimension), to its most similar probe: (n,).

    In double precision, so that the order of the sums, which differs from one matrix product to another, is not seen.
    """
    columns = np.stack(probes).astype(np.float64).T
    found = np.round(templates.astype(np.float64) @ columns, DIGITS)
    return np.asarray(found.max(axis=1), np.float64)

"""Choice of the samples that an enrolment keeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.types import Embedding

NEARLY_THE_SAME = 0.9
"""Similarity from which one of two templates of a face adds next to nothing."""


def least_useful(embeddings: Sequence[Embedding], qualities: Sequence[float]) -> int:
    """Index of the sample to leave out: the poorer of the two most similar ones if these are nearly the same, otherwise
    the poorest. Of equals the later one is left out. At least two samples are needed.
    """
    vectors = np.stack(embeddings)
    similar = np.triu(vectors @ vectors.T, 1)
    first, second = divmod(int(similar.argmax()), len(vectors))
    if similar[first, second] < NEARLY_THE_SAME:
        return min(range(len(qualities)), key=lambda index: (qualities[index], -index))
    return first if qualities[first] < qualities[second] else second

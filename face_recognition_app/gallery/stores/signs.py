"""The rows that are most similar to probes by the signs of their components.

The secret rotation of an index makes every sign as likely as its opposite, and the signs of two vectors at an angle a
differ with probability a/pi (M. S. Charikar, "Similarity estimation techniques from rounding algorithms", STOC 2002).
So the number of n signs that differ is binomial: n a/pi of them, give or take sqrt(n (a/pi) (1 - a/pi)).

Among 1,000,000 rows the decision threshold is a cosine of 0.638, where 53.7 of 192 signs differ, give or take 6.2, and
143 of 512, give or take 10.2. Of strangers, whose cosines deviate by 0.05, 96 differ give or take 7.6, and 256 give or
take 13.9. The nearest one in SHARE has less than 75.9, which is 3.6 deviations away: of those at the threshold the
first step misses 1 in 5,400. The nearest COMPARED have less than 203, 5.9 deviations away: the second misses 1 in
400,000,000. Above the threshold both miss fewer; at a cosine of 0.6 it is 1 in 830 and 1 in 4,000,000. In smaller
galleries as many rows are a larger share. A fourth word costs 0.6 ms, and misses 1 in 330,000 at the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from core.types import Embeddings
from gallery.stores import codes
from gallery.stores.row_file import RowFile, Rows

FIRST_WORDS = 3
"""Words of 64 signs that are compared with all rows; the others with what these leave."""
SHARE = 256
"""One of so many rows is left by the first words."""
LEAST_LEFT = 2_048
"""Rows that the first words leave at least."""
COMPARED = 64
"""Rows that all words leave, each of which is read from the file."""
SAMPLED = 64
"""Of the rows to be left, so many are in the sample that says how many signs of them differ."""
COMPARED_AT_ONCE = 65_536
"""Rows whose words stay in the processor's cache of second level."""

Words = npt.NDArray[np.uint64]
Distances = npt.NDArray[np.unsignedinteger[Any]]


def nearest_rows(file: RowFile, count: int, probes: Embeddings, hidden: npt.NDArray[np.int64]) -> Rows:
    """Some COMPARED of the first `count` rows, those most similar to any probe, without removed and hidden ones."""
    bits = codes.signs(probes)
    number = max(LEAST_LEFT, count // SHARE) + len(hidden)
    rough = _distances([words[:count] for words in file.signs[:FIRST_WORDS]], bits)
    every = max(1, number // SAMPLED)
    living = file.pks[:count:every] != 0
    rows = np.flatnonzero(rough <= _lowest(rough[::every][living], number // every))
    pks = file.pks[rows]
    rows = rows[(pks != 0) & (~np.isin(pks, hidden) if len(hidden) else True)]
    close = _distances([words[rows] for words in file.signs], bits)
    nearest: Rows = rows[close <= _lowest(close, COMPARED)]
    return nearest


def _distances(columns: Sequence[Words], probes: Words) -> Distances:
    """How many signs of each row differ from those of the most similar probe."""
    best: Distances = np.empty(len(columns[0]), "u1" if 64 * len(columns) < 256 else "u2")
    differ, counted = np.empty(COMPARED_AT_ONCE, np.uint64), np.empty((2, COMPARED_AT_ONCE), best.dtype)
    for begin in range(0, len(best), COMPARED_AT_ONCE):
        part = best[begin : begin + COMPARED_AT_ONCE]
        word, ones, total = differ[: len(part)], counted[0, : len(part)], counted[1, : len(part)]
        for number, probe in enumerate(probes):
            found = total if number else part
            for place, (column, mine) in enumerate(zip(columns, probe, strict=False)):
                np.bitwise_xor(column[begin : begin + COMPARED_AT_ONCE], mine, out=word)
                np.bitwise_count(word, out=ones if place else found)
                if place:
                    found += ones
            if number:
                np.minimum(part, found, out=part)
    return best


def _lowest(distances: Distances, number: int) -> int:
    """The highest of the `number` lowest distances; more than any, where there are no more."""
    if len(distances) <= number:
        return int(np.iinfo(distances.dtype).max)
    return int(np.partition(distances, number - 1)[number - 1])

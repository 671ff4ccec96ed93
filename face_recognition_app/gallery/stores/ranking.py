"""The subjects most similar to probes among the rows of a file: exactly those, though most rows are compared by codes.

A similarity is the product of the probe and the row in float32. What codes say differs from it by no more than the
lengths of what the codes lose, so rows that are further behind cannot be among the best.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable
from typing import Any

import numkong
import numpy as np
import numpy.typing as npt

from core.types import Embeddings
from gallery.stores import codes
from gallery.stores.base import Candidate
from gallery.stores.row_file import Page, RowFile, Rows, State

FIRST = 32
"""Rows that are compared exactly in any case: most often they contain enough subjects. Each is in pages of its own. Of
100,000 strangers another 14 rows are compared for the five best, and 51 for the ten best."""
COMPARED_AT_ONCE = 4_096
ROUNDING = 1e-5
"""More than float32 loses in one product."""

Best = dict[str, float]
Ids = npt.NDArray[np.int64]


def best_of_file(
    file: RowFile,
    state: State,
    probes: Embeddings,
    limit: int,
    hidden: Collection[int] = (),
    among: Rows | None = None,
) -> Best:
    """The `limit` best subjects of all rows, or those `among` them, as if the ids in `hidden` were removed."""
    coded = file.codes[: state.count] if among is None else file.picked("codes", among).view("i1")
    if coded.size == 0:
        return {}
    rough, slack = _rough(coded, state, probes)
    without = ids_of(hidden)

    def compared(places: Rows) -> Best:
        parts = []
        for begin in range(0, len(places), COMPARED_AT_ONCE):
            part = places[begin : begin + COMPARED_AT_ONCE]
            rows = part if among is None else among[part]
            remainders = file.picked("remainders", rows).view("<f2")  # First: of a file that was cut off it says so.
            similarities = _similarities(coded[part], remainders, probes)
            parts.append(_best_living(file, rows, similarities, limit, without))
        return merged(parts, limit)

    number = FIRST
    while True:
        places = _highest(rough, number)
        best = compared(places)
        if len(places) == len(rough):
            return best
        if len(best) == limit:
            reachable = np.flatnonzero(rough >= min(best.values()) / codes.STEP**2 - slack)
            return merged([best, compared(np.setdiff1d(reachable, places, assume_unique=True))], limit)
        number *= 8


def _best_living(file: RowFile, rows: Rows, similarities: npt.NDArray[np.float32], limit: int, hidden: Ids) -> Best:
    """The best subjects. Names are read of these alone."""
    best: Best = {}
    for place in np.argsort(-similarities):
        if len(best) == limit:
            break
        name = file.picked("subjects", rows[place : place + 1]).tobytes().rstrip(b"\0").decode()
        pk = file.pks[rows[place]]  # Last: who removes a row overwrites its id first.
        if pk != 0 and pk not in hidden:
            best.setdefault(name, float(similarities[place]))
    return best


def ids_of(pks: Collection[int]) -> Ids:
    return np.fromiter(pks, np.int64, len(pks))


def best_of_pages(pages: Iterable[Page], probes: Embeddings, limit: int) -> tuple[Best, int]:
    """The `limit` best subjects of some pages, and the number of templates in them."""
    best: Best = {}
    templates = 0
    for page in pages:
        similarities = _similarities(page.coded.codes, page.coded.remainders, probes)
        best = merged([best, _best_subjects(page.subjects, similarities, limit)], limit)
        templates += len(page.pks)
    return best, templates


def merged(parts: Iterable[Best], limit: int) -> Best:
    best: Best = {}
    for part in parts:
        for subject_id, similarity in part.items():
            best[subject_id] = max(similarity, best.get(subject_id, similarity))
    return dict(heapq.nlargest(limit, best.items(), key=lambda found: found[1]))


def in_order(best: Best) -> list[Candidate]:
    return [Candidate(name, similarity) for name, similarity in sorted(best.items(), key=lambda found: -found[1])]


def _rough(rows: codes.Codes, state: State, probes: Embeddings) -> tuple[npt.NDArray[np.float32], float]:
    """What codes say of each row's similarity to its most similar probe, and how much that can be wrong.

    Both are in units of STEP squared, so that nothing is multiplied for each row.
    """
    coded = [codes.encode(probe[None]) for probe in probes]
    products = numkong.cdist(np.concatenate([one.codes for one in coded]), rows, "dot", out_dtype="float32")
    rough = np.asarray(products)[0] if len(probes) == 1 else np.asarray(products).max(axis=0)
    lengths = np.linalg.norm(probes, axis=1)
    slacks = (length * state.residual + state.reach * one.residual for length, one in zip(lengths, coded, strict=True))
    return rough, (float(max(slacks)) + ROUNDING) / codes.STEP**2


def _highest(rough: npt.NDArray[np.float32], number: int) -> Rows:
    """At least `number` rows of the highest values, if there are as many; a few more where values are alike.

    The `number`-th of the maxima of short stretches is a value that at least as many rows have.
    """
    if len(rough) <= number:
        return np.arange(len(rough))
    stretch = max(1, len(rough) // (8 * number))
    whole = len(rough) - len(rough) % stretch
    maxima = rough[:whole].reshape(-1, stretch).max(axis=1)
    return np.flatnonzero(rough >= np.partition(maxima, -number)[-number])


def _similarities(coded: codes.Codes, remainders: codes.Remainders, probes: Embeddings) -> npt.NDArray[np.float32]:
    """Similarity of each row to its most similar probe."""
    products = codes.decode(coded, remainders) @ probes.T
    return np.asarray(products.max(axis=1), np.float32)


def _best_subjects(subjects: npt.NDArray[Any], similarities: npt.NDArray[np.float32], limit: int) -> Best:
    best: Best = {}
    for row in np.argsort(-similarities):
        if len(best) == limit:
            break
        best.setdefault(subjects[row].decode(), float(similarities[row]))
    return best

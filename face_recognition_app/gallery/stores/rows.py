"""Rows of templates in memory: added and removed in place, without copying the others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from core.types import Embedding, Embeddings

FIRST_BLOCK = 4_096
"""Rows of the first block, 8 MiB. Each further block doubles the rows: no block is ever copied, and there are few of
them, after each of which a search waits for the interpreter's lock. Unwritten rows take no memory.
"""
ROWS_SORTED_FIRST = 64
"""Rows that are sorted first: they nearly always contain enough subjects."""

Ids = npt.NDArray[np.int64]
_REMOVED_ID = 0
"""The id of a row that was removed; the database begins with 1."""


class Rows:
    """Ids, subjects and vectors, row by row. A removed row is overwritten with zeros at once.

    The caller holds a lock: no method is safe during a change.
    """

    def __init__(self) -> None:
        self._ids: Ids = np.empty(ROWS_SORTED_FIRST, np.int64)
        self._subjects: list[str] = []
        self._blocks: list[Embeddings] = []
        self._removed = 0

    def __len__(self) -> int:
        return len(self._subjects) - self._removed

    @property
    def memory_bytes(self) -> int:
        """Memory of the rows, without the names of subjects."""
        width = self._blocks[0].shape[1] * 4 if self._blocks else 0
        return len(self._subjects) * width + self._ids.nbytes

    @property
    def mostly_gone(self) -> bool:
        return self._removed > max(FIRST_BLOCK, len(self))

    def knows(self, ids: Sequence[int]) -> npt.NDArray[np.bool_]:
        return np.isin(np.asarray(ids, np.int64), self._used_ids)

    def add(self, ids: Sequence[int], subjects: Sequence[str], vectors: Embeddings) -> None:
        """Add rows; `vectors` is (n, dimension), in the order of `ids` and `subjects`."""
        begin, end = len(self._subjects), len(self._subjects) + len(ids)
        if end > len(self._ids):
            self._ids = np.concatenate([self._ids, np.empty(max(end, len(self._ids)), np.int64)])
        self._ids[begin:end] = ids
        self._subjects.extend(subjects)
        taken = 0
        while taken < len(vectors):
            number, row = _place(begin + taken)
            if number == len(self._blocks):
                rows = FIRST_BLOCK << max(0, number - 1)
                self._blocks.append(np.empty((rows, vectors.shape[1]), np.float32))
            block = self._blocks[number]
            part = vectors[taken : taken + len(block) - row]
            block[row : row + len(part)] = part
            taken += len(part)

    def remove(self, ids: Collection[int]) -> None:
        """Remove the rows of `ids` that exist."""
        for row in self._rows_of(ids):
            number, row_of_block = _place(int(row))
            self._blocks[number][row_of_block] = 0.0
            self._ids[row], self._subjects[row] = _REMOVED_ID, ""
            self._removed += 1

    def compacted(self) -> Rows:
        """A copy without the rows that were removed."""
        rows, begin = Rows(), 0
        for vectors in self._filled_blocks():
            kept = np.flatnonzero(self._ids[begin : begin + len(vectors)] != _REMOVED_ID)
            subjects = [self._subjects[begin + row] for row in kept]
            rows.add(self._ids[begin + kept].tolist(), subjects, vectors[kept])
            begin += len(vectors)
        return rows

    def best(self, probes: Sequence[Embedding], limit: int, hidden: Collection[int] = ()) -> dict[str, float]:
        """The `limit` subjects most similar to any probe and how similar, best first, as if `hidden` were removed."""
        if not len(self):
            return {}
        similarities = self._similarities(probes)
        if self._removed:
            similarities[self._used_ids == _REMOVED_ID] = -np.inf
        if hidden:
            similarities[self._rows_of(hidden)] = -np.inf
        few = _best_subjects(self._subjects, similarities, _highest(similarities, ROWS_SORTED_FIRST), limit)
        if len(few) == limit or len(similarities) <= ROWS_SORTED_FIRST:
            return few
        return _best_subjects(self._subjects, similarities, np.argsort(-similarities), limit)

    def _similarities(self, probes: Sequence[Embedding]) -> Embedding:
        """Similarity of each row to its most similar probe."""
        columns = np.stack(probes).T
        found = np.empty((len(self._subjects), len(probes)), np.float32)
        begin = 0
        for vectors in self._filled_blocks():
            np.matmul(vectors, columns, out=found[begin : begin + len(vectors)])
            begin += len(vectors)
        return found[:, 0] if len(probes) == 1 else np.asarray(found.max(axis=1), np.float32)

    @property
    def _used_ids(self) -> Ids:
        return self._ids[: len(self._subjects)]

    def _filled_blocks(self) -> Iterator[Embeddings]:
        left = len(self._subjects)
        for block in self._blocks:
            yield block[:left]
            left -= len(block)

    def _rows_of(self, ids: Collection[int]) -> npt.NDArray[np.intp]:
        return np.flatnonzero(np.isin(self._used_ids, list(ids))) if ids else np.empty(0, np.intp)


def _place(row: int) -> tuple[int, int]:
    """Number of the block that holds the row, and the row's index in that block."""
    number = (row // FIRST_BLOCK).bit_length()
    return number, row - (FIRST_BLOCK << (number - 1) if number else 0)


def _highest(similarities: Embedding, number: int) -> npt.NDArray[np.intp]:
    """The rows of the highest similarities, highest first."""
    if len(similarities) > number:
        rows = np.argpartition(similarities, -number)[-number:]
        return rows[np.argsort(-similarities[rows])]
    return np.argsort(-similarities)


def _best_subjects(
    subjects: Sequence[str], similarities: Embedding, rows: npt.NDArray[np.intp], limit: int
) -> dict[str, float]:
    best: dict[str, float] = {}
    for row in rows:
        if len(best) == limit or similarities[row] == -np.inf:
            break
        best.setdefault(subjects[row], float(similarities[row]))
    return best

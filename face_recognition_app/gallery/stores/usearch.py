"""Search by signs in large galleries, and exact search in all others.

The store is called `usearch` because the service's contract has that name for it, and has no graph because comparing
the signs of all rows is faster and finds more (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from core.types import Embeddings
from gallery.stores import ranking, signs
from gallery.stores.exact import ExactStore
from gallery.stores.index import Snapshot

LEAST_ROWS = 20_000
"""Rows from which on signs are compared: the codes of fewer are compared in a millisecond."""


class UsearchStore(ExactStore):
    """Compares the rows exactly that are nearest by their signs. Where they are of fewer subjects than wanted, it
    compares with every template. Of people far below the decision's threshold a list may have others than the most
    similar, or a template of theirs that is not the best."""

    def _best(self, held: Snapshot, probes: Embeddings, limit: int, hidden: Sequence[int] = ()) -> ranking.Best:
        file, state = held.file, held.state
        if state.count >= LEAST_ROWS:
            rows = signs.nearest_rows(file, state.count, probes, ranking.ids_of(hidden))
            best = ranking.best_of_file(file, state, probes, limit, hidden, rows)
            if len(best) == limit:
                return best
        return super()._best(held, probes, limit, hidden)

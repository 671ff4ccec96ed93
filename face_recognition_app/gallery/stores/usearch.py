"""Search along a graph in large galleries; in all others, and of rows that are not in the graph yet, exact search."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from core.types import Embeddings
from gallery.stores import graph, ranking
from gallery.stores.base import Advance
from gallery.stores.exact import ExactStore
from gallery.stores.graph import Graph
from gallery.stores.index import CHANGE_WAIT_S, Index, Snapshot
from gallery.stores.row_file import DamagedFile, RowFile, Rows
from gallery.stores.source import Source

logger = logging.getLogger(__name__)

LEAST_ROWS = 300_000
"""Rows of the smallest gallery that gets a graph: comparing the codes of fewer takes no longer than a graph."""


_NOTHING: tuple[int, frozenset[str]] = (0, frozenset())


class GraphIndex(Index):
    """An index with a graph over the first rows, once there are LEAST_ROWS."""

    leftovers: ClassVar[Mapping[str, str]] = {
        "rows.new": "write.lock",
        "rows.renewed": "renewal.lock",
        "graph.renewed": "renewal.lock",
    }

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._graph: Graph | None = None
        self._looked_at: tuple[int, frozenset[str]] = _NOTHING

    def graph(self, file: RowFile, *, locked: bool = False) -> Graph | None:
        """The graph of this row file. It is looked for when there are others than before, or it was cut off: reading
        beyond the end of a mapped file kills the process."""
        if self._looked_at != self._to_look_at(file) or (self._graph is not None and not self._graph.is_whole):
            self._graph = None
            self._graph = self._found(file, locked)
            self._looked_at = self._to_look_at(file)
        return self._graph

    def release(self) -> None:
        super().release()
        self._graph, self._looked_at = None, _NOTHING

    def is_stale(self, source: Source) -> bool:
        return super().is_stale(source) or self._needs_graph(source)

    def renew(self, source: Source, advance: Advance) -> bool:
        return super().renew(source, advance) and self._make_graph(source, advance)

    def freshen(self, source: Source) -> None:
        super().freshen(source)
        if self._needs_graph(source):
            self._make_graph(source, lambda done, total: None)

    def _forget(self, file: RowFile, rows: Rows) -> None:
        known = self.graph(file, locked=True)
        if known is not None:
            known.forget(file.codes[rows[rows < known.count]])

    def _needs_graph(self, source: Source) -> bool:
        held = self.snapshot(source) if self.rows_on_disk() >= LEAST_ROWS else None
        if held is None:
            return False
        known = self.graph(held.file)
        return known is None or held.state.count - known.count > held.state.count // 5

    def _make_graph(self, source: Source, advance: Advance) -> bool:
        """False when another process makes one now."""
        held = self.snapshot(source)
        if held is None or held.state.count < LEAST_ROWS:
            return True
        path = self.directory / "graph.renewed"
        with self._locked("renewal.lock", 0) as mine:
            if not mine:
                return False
            try:
                rows = graph.build(held.file, held.state.count, path, advance)
                with self._locked("write.lock"):
                    if self.is_current(held.file):
                        graph.publish(path, held.file, held.state.count, rows)
            finally:
                path.unlink(missing_ok=True)
        return True

    def _to_look_at(self, file: RowFile) -> tuple[int, frozenset[str]]:
        """A graph's name says all of it, unlike the times of its directory: two changes can have the same."""
        with os.scandir(self.directory) as found:
            return file.header.generation, frozenset(one.name for one in found if one.name.startswith("graph-"))

    def _found(self, file: RowFile, locked: bool) -> Graph | None:
        """The largest graph of this row file; other graphs and damaged ones are deleted."""
        found: list[Graph] = []
        for path in self.directory.glob("graph-*"):
            try:
                found.append(Graph(path, file))
            except FileNotFoundError:
                continue
            except DamagedFile as damage:
                # The codes may just be on their way from the rows; nobody changes them under the lock.
                if not locked:
                    with self._locked("write.lock", CHANGE_WAIT_S) as mine:
                        return self._found(file, locked=True) if mine else None
                logger.warning("a graph is deleted: %s", damage)
                path.unlink(missing_ok=True)
        found.sort(key=lambda one: one.count)
        for older in found[:-1]:
            older.path.unlink(missing_ok=True)
        return found[-1] if found else None


class UsearchStore(ExactStore):
    """An approximate search by `usearch`, whose candidates are compared exactly."""

    def _make_index(self, directory: Path) -> Index:
        return GraphIndex(directory)

    def _best(
        self, index: Index, held: Snapshot, probes: Embeddings, limit: int, hidden: Sequence[int] = ()
    ) -> ranking.Best:
        assert isinstance(index, GraphIndex)
        known = index.graph(held.file)
        if known is not None:
            near = ranking.best_of_rows(held.file, known.nearest(probes), probes, limit, hidden)
            later = ranking.best_of_file(held.file, held.state, probes, limit, hidden, begin=known.count)
            best = ranking.merged([near, later], limit)
            if len(best) == limit:
                return best
        return super()._best(index, held, probes, limit, hidden)

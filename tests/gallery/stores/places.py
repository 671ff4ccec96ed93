"""Where a store can be, and the marks of tests that are about some of these places."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gallery.stores import signs, usearch


@dataclass(frozen=True, slots=True)
class Place:
    store: str
    database: str

    def __str__(self) -> str:
        return f"{self.store} on {self.database}"


FILES = [Place("exact", "sqlite"), Place("usearch", "sqlite")]
FILES_BESIDE_POSTGRESQL = [Place("exact", "postgresql"), Place("usearch", "postgresql")]
PGVECTOR = Place("pgvector", "postgresql")
EACH = [*FILES, PGVECTOR]

everywhere = pytest.mark.parametrize("place", [*EACH, *FILES_BESIDE_POSTGRESQL], indirect=True, ids=str)
"""Each store, on each database that it can be on."""
of_files = pytest.mark.parametrize("place", FILES, indirect=True, ids=str)
of_files_everywhere = pytest.mark.parametrize("place", [*FILES, *FILES_BESIDE_POSTGRESQL], indirect=True, ids=str)


def use_signs_in_small_galleries(monkeypatch: pytest.MonkeyPatch) -> None:
    """`usearch` searches by signs from 8 rows on, and compares no more than a few of them exactly."""
    monkeypatch.setattr(usearch, "LEAST_ROWS", 8)
    monkeypatch.setattr(signs, "COMPARED", 16)
    monkeypatch.setattr(signs, "LEAST_LEFT", 256)

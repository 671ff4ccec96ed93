"""What of a mapped index file is in a process's memory after it was checked and searched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest

from gallery.changes import Point
from gallery.stores.exact import ExactStore
from gallery.stores.index import Snapshot
from gallery.stores.row_file import Identity, Page, RowFile, State
from tests.gallery.stores.places import use_signs_in_small_galleries
from tests.gallery.workers import MODEL, gallery_of

ROWS = 16_000
CODES_BYTES, REMAINDERS_BYTES = 512 * ROWS, 1_024 * ROWS
AROUND_BYTES = 4 << 20
"""What the system maps besides: up to 2 MiB around a page that is read."""
IDENTITY = Identity(0, MODEL)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A row file with so many rows, which nobody has mapped yet."""
    use_signs_in_small_galleries(monkeypatch)
    vectors = np.random.default_rng(1).standard_normal((ROWS, 512), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    made = RowFile.create(tmp_path / "rows", IDENTITY, 0, ROWS)
    state = made.append(Page.of(range(1, ROWS + 1), [f"p{row}" for row in range(ROWS)], vectors), made.begin())
    made.publish(State(Point(1), state.count, 0, state.residual, state.reach))
    return made.path


def mapped_bytes(path: Path) -> int:
    return sum(mapped.rss for mapped in psutil.Process().memory_maps() if mapped.path == str(path))


def test_checking_a_file_maps_none_of_its_rows(path: Path) -> None:
    file = RowFile.open(path, IDENTITY)
    assert mapped_bytes(path) < AROUND_BYTES < REMAINDERS_BYTES
    assert file.state().count == ROWS


@pytest.mark.parametrize(
    ("store_name", "read_whole"), [("exact", CODES_BYTES), ("usearch", 0)], ids=["exact", "usearch"]
)
def test_a_search_leaves_what_it_has_read_whole_and_nothing_of_which_it_has_picked_rows(
    path: Path, store_name: str, read_whole: int
) -> None:
    store = gallery_of(path.parent, store_name).store
    assert isinstance(store, ExactStore)
    held = Snapshot.of(RowFile.open(path, IDENTITY))
    for seed in range(8):
        probe = np.random.default_rng(seed).standard_normal((1, 512), np.float32)
        assert len(store._best(held, probe / np.linalg.norm(probe), 5)) == 5
        assert read_whole <= mapped_bytes(path) < read_whole + AROUND_BYTES

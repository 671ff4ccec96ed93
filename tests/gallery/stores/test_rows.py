"""Rows in memory: many blocks, removed rows overwritten, and an exact search."""

from __future__ import annotations

import numpy as np
import pytest

from gallery.stores import rows as rows_module
from gallery.stores.rows import Rows
from tests.gallery.faces import face


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows_module, "FIRST_BLOCK", 16)


def filled(number: int, step: int = 7) -> Rows:
    """Rows with the ids n + 1, three for each subject `p{n // 3}`."""
    rows = Rows()
    for begin in range(0, number, step):
        part = range(begin, min(begin + step, number))
        rows.add([n + 1 for n in part], [f"p{n // 3}" for n in part], np.stack([face(n) for n in part]))
    return rows


@pytest.mark.parametrize("number", [1, 15, 16, 17, 100, 200])
@pytest.mark.parametrize("limit", [1, 5, 100])
def test_the_best_are_found_in_whatever_block_they_are(number: int, limit: int) -> None:
    rows = filled(number)
    for probed in range(0, number, 5):
        truth: dict[str, float] = {}
        for n in range(number):
            truth[f"p{n // 3}"] = max(float(face(n) @ face(probed)), truth.get(f"p{n // 3}", -1.0))
        best = sorted(truth.items(), key=lambda one: -one[1])[:limit]
        found = rows.best([face(probed)], limit)
        assert list(found) == [name for name, _ in best]
        assert list(found.values()) == pytest.approx([similarity for _, similarity in best], abs=1e-5)


def test_nothing_of_a_removed_row_stays_in_memory() -> None:
    rows = filled(40)
    rows.remove([20, 21, 99])
    assert len(rows) == 38
    assert "p6" in rows.best([face(18)], 100), "its third row is still there"
    left = b"".join(block.tobytes() for block in rows._blocks)
    assert face(18).tobytes() in left
    assert face(19).tobytes() not in left
    assert face(20).tobytes() not in left


def test_a_hidden_row_is_not_found_and_stays() -> None:
    rows = filled(40)
    assert next(iter(rows.best([face(30)], 1))) == "p10"
    assert "p10" not in rows.best([face(30)], 100, hidden=[31, 32, 33])
    assert next(iter(rows.best([face(30)], 1))) == "p10"


def test_a_copy_without_what_is_gone_finds_the_same() -> None:
    rows = filled(100)
    rows.remove(range(1, 61))
    assert rows.mostly_gone
    compacted = rows.compacted()
    assert (len(compacted), compacted.mostly_gone) == (len(rows), False)
    assert compacted.memory_bytes < rows.memory_bytes
    for n in range(100):
        assert compacted.best([face(n)], 40) == pytest.approx(rows.best([face(n)], 40), abs=1e-6)
    assert rows.knows([60, 61]).tolist() == compacted.knows([60, 61]).tolist() == [False, True]


def test_where_everything_was_removed_nothing_is_found() -> None:
    rows = filled(10)
    rows.remove(range(1, 11))
    assert rows.best([face(1)], 5) == {}

"""Search by signs: which rows it leaves to be compared exactly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from core.types import Embeddings
from gallery.stores import signs
from gallery.stores.row_file import Identity, Page, RowFile, State
from tests.gallery.faces import face, picture

ROWS = 4_000
EACH = 100
NOBODY = np.empty(0, np.int64)


@pytest.fixture(scope="module")
def people() -> Embeddings:
    return np.stack([face(number) for number in range(ROWS)])


@pytest.fixture
def file(tmp_path: Path, people: Embeddings, monkeypatch: pytest.MonkeyPatch) -> RowFile:
    """A row for each person, with the person's number plus one as its id."""
    monkeypatch.setattr(signs, "COMPARED", 16)
    monkeypatch.setattr(signs, "LEAST_LEFT", 256)
    monkeypatch.setattr(signs, "SAMPLED", 32)
    found = RowFile.create(tmp_path / "rows", Identity(0, "model"), 0, 2 * ROWS)
    state = found.append(page(people, np.arange(1, ROWS + 1)), found.begin())
    found.publish(state)
    return found


def page(people: Embeddings, pks: npt.NDArray[np.int64]) -> Page:
    return Page.of([int(pk) for pk in pks], [f"p{pk - 1}" for pk in pks], people)


def remove(file: RowFile, rows: npt.NDArray[np.intp]) -> State:
    state = file.remove(rows, file.begin())
    file.publish(state)
    return state


def nearest(file: RowFile, *probes: npt.NDArray[np.float32], hidden: npt.NDArray[np.int64] = NOBODY) -> list[int]:
    return [int(row) for row in signs.nearest_rows(file, file.state().count, np.stack(probes), hidden)]


def test_few_rows_are_left_and_among_them_everybody_who_is_alike(file: RowFile, people: Embeddings) -> None:
    for number in range(0, ROWS, EACH):
        found = nearest(file, picture(people[number], 0.55, number))
        assert number in found
        assert len(found) < 3 * signs.COMPARED


def test_whoever_is_like_any_of_several_probes_is_left(file: RowFile, people: Embeddings) -> None:
    numbers = [7, 1_007, 3_999]
    assert set(numbers) <= set(nearest(file, *(picture(people[number], 0.6) for number in numbers)))


def test_removed_rows_take_no_place_of_others(file: RowFile, people: Embeddings) -> None:
    """Their signs are zeros, and so most like a probe that is negative in most places."""
    number = ROWS - 1
    remove(file, np.arange(ROWS // 2))
    probe = picture(people[number], 0.6) - np.float32(0.03)
    found = nearest(file, probe)
    assert number in found
    assert min(found) >= ROWS // 2


def test_hidden_rows_take_no_place_of_others(file: RowFile, people: Embeddings) -> None:
    """More than are left, all more similar to the probe than the one that is looked for."""
    probe, pks = picture(people[5], 0.6), np.arange(ROWS + 1, ROWS + 301)
    twins = np.stack([picture(probe, 0.9, int(pk)) for pk in pks])
    file.publish(file.append(page(twins, pks), file.begin()))
    assert 5 not in nearest(file, probe)
    assert 5 in nearest(file, probe, hidden=pks)


@pytest.mark.parametrize("left", [0, 1, 10])
def test_of_fewer_rows_than_are_left_each_is(file: RowFile, people: Embeddings, left: int) -> None:
    remove(file, np.arange(left, ROWS))
    assert nearest(file, picture(people[0], 0.6)) == list(range(left))


def test_an_empty_gallery_leaves_none(tmp_path: Path) -> None:
    file = RowFile.create(tmp_path / "rows", Identity(0, "model"), 0, 1)
    assert nearest(file, face(1)) == []

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from testkit.databases import using_postgresql
from tests.gallery.stores.places import FILES, Place, use_signs_in_small_galleries


@pytest.fixture(params=FILES, ids=str)
def place(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[Place]:
    """A store with files, on SQLite unless `places.of_files_everywhere` says otherwise."""
    found: Place = request.param
    with ExitStack() as stack:
        if found.database == "postgresql":
            stack.enter_context(using_postgresql(request.getfixturevalue("postgresql_url")))
        yield found


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Galleries of these tests are large enough for a search by signs."""
    use_signs_in_small_galleries(monkeypatch)

"""Databases that cannot have the store in PostgreSQL."""

from __future__ import annotations

import pytest
from django.db import connection

from gallery.stores.pgvector import schema
from gallery.stores.pgvector.schema import StoreUnusable, prepare_database
from testkit.databases import using_postgresql


@pytest.mark.usefixtures("transactional_db")
def test_sqlite_is_refused_with_words() -> None:
    with pytest.raises(StoreUnusable, match="set DATABASE_URL"):
        prepare_database()


@pytest.mark.parametrize("missing", ["nothing newer", "not there"])
def test_a_server_without_the_extension_is_refused_with_words(
    missing: str, postgresql_url: str, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with using_postgresql(postgresql_url), connection.cursor() as cursor:
        cursor.execute("DROP EXTENSION IF EXISTS vector CASCADE")
        if missing == "nothing newer":
            monkeypatch.setattr(schema, "OLDEST_VERSION", (99, 0))
        else:
            monkeypatch.setattr(schema, "EXTENSION", "no_such_extension")
        with pytest.raises(StoreUnusable, match="install it there"):
            prepare_database()

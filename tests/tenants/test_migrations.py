"""Keys of an older version stay valid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tenants.keys import find_living_key, token_hash
from tenants.scopes import Scope


def migrate(name: str) -> Any:
    """The models as they are after that migration."""
    target = [("tenants", name)]
    executor = MigrationExecutor(connection)
    executor.migrate(target)
    return MigrationExecutor(connection).loader.project_state(target).apps


@pytest.fixture
def before_scopes(transactional_db: None) -> Iterator[Any]:
    yield migrate("0002_policy")
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def test_keys_from_before_scopes_open_all_they_did_and_each_has_an_id(before_scopes: Any) -> None:
    texts = ["fk_first", "fk_second", "fk_third"]
    tenant = before_scopes.get_model("tenants", "Tenant").objects.create(name="acme")
    old_keys = before_scopes.get_model("tenants", "ApiKey").objects
    for text in texts:
        old_keys.create(tenant=tenant, key_hash=token_hash(text))
    migrate("0007_gallery_model")
    keys = [find_living_key(text) for text in texts]
    assert {key.opens for key in keys if key} == {frozenset(Scope)}
    assert len({key.public_id for key in keys if key}) == 3

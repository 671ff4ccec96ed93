"""Failures counted before an upgrade count after it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tenants.keys import create_tenant

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def before_weights(transactional_db: None) -> Iterator[Any]:
    """The models of an older version, on a database of that version."""
    executor = MigrationExecutor(connection)
    executor.migrate([("recognition", "0005_holds_and_known_devices")])
    yield executor.loader.project_state([("recognition", "0005_holds_and_known_devices")]).apps
    upgrade()


def upgrade() -> None:
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())


def test_a_lock_outlasts_the_upgrade_and_two_spellings_become_one(before_weights: Any) -> None:
    tenant, _ = create_tenant("acme")
    counters = before_weights.get_model("recognition", "FailedAttempts").objects
    later, stale_at = NOW + timedelta(minutes=30), NOW + timedelta(minutes=3)
    for kind, key, failed_at, locked_until in [
        ("device", "phone", [1.0, 2.0], None),
        ("device", "PHONE", [], later),
        ("device", "Phone", [3.0], None),
        ("subject", "Alice", [4.0, 5.0], None),
    ]:
        counters.create(
            tenant_id=tenant.pk, kind=kind, key=key, failed_at=failed_at, locked_until=locked_until, stale_at=stale_at
        )
    upgrade()
    assert sorted(counters.values_list("kind", "key", "failed_at", "locked_until")) == [
        ("device", "phone", [], later),
        ("subject", "Alice", [[4.0, 1.0], [5.0, 1.0]], None),
    ]

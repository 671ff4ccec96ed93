"""Runs a test on a real PostgreSQL database in place of the SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dj_database_url
from django.core.management import call_command
from django.db import connection, connections

from jobs.workers import leases

FIRST_TENANT = 1_000_000
"""Primary key of the first tenant in PostgreSQL: in-memory state is keyed by it, so it must not occur in SQLite."""


@contextmanager
def using_postgresql(url: str) -> Iterator[None]:
    """Use the database at `url`, migrated and empty, on this thread and on threads started inside the block."""
    own: dict[str, Any] = {**dj_database_url.parse(url), "ENGINE": "database.postgresql"}
    usual, usual_settings = connections["default"], connections.settings["default"]
    connections.settings["default"] = {**usual_settings, **own, "TEST": usual_settings["TEST"]}
    connections["default"] = connections.create_connection("default")
    leases._keeper = leases._Keeper()  # Its thread has a connection of its own, to the database that it began with.
    try:
        call_command("migrate", verbosity=0, interactive=False)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT setval('tenants_tenant_id_seq', GREATEST(%s, last_value)) FROM tenants_tenant_id_seq",
                [FIRST_TENANT],
            )
        yield
        call_command("flush", verbosity=0, interactive=False, reset_sequences=False)
    finally:
        connections["default"].close()
        connections["default"], connections.settings["default"] = usual, usual_settings
        leases._keeper = leases._Keeper()

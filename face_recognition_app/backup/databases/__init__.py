"""Consistent copies of the database while it is in use, and their way back: one module for each kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from django.db import connection

from backup.archive import Kind, Manifest, Member, Table

PREFIX = "database/"


class Snapshot(Protocol):
    """The database as it was at one moment."""

    @property
    def migrations(self) -> tuple[tuple[str, str], ...]: ...

    @property
    def tables(self) -> tuple[Table, ...]: ...

    def members(self) -> Iterator[Member]: ...


class Loader(Protocol):
    def take(self, member: Member) -> None:
        """Load one part, in the order of the backup. Raises UnreadableFile."""

    def finish(self) -> None:
        """Check what was loaded. Raises UnreadableFile."""


class Database(Protocol):
    kind: Kind

    def snapshot(self, data_dir: Path) -> AbstractContextManager[Snapshot]: ...

    def loading(self, manifest: Manifest, folder: Path) -> AbstractContextManager[Loader]:
        """Replace the database by what the loader takes, when the block ends without an error. `folder`: for files
        meanwhile, in the data directory."""

    def is_in_use(self) -> bool:
        """Whether another process has a connection to it."""

    def has_tenants(self) -> bool: ...


def in_use() -> Database:
    """The database of the settings."""
    from backup.databases import postgresql, sqlite

    return postgresql.PostgreSQL() if connection.vendor == "postgresql" else sqlite.SQLite()

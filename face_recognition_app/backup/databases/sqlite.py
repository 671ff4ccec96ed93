"""SQLite: the file as a whole."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from django.db import connection

from backup.archive import Kind, Manifest, Member, Table
from backup.databases import PREFIX, Snapshot
from backup.errors import UnreadableFile
from tenants.models import Tenant

FILE = f"{PREFIX}face.sqlite3"


@dataclass(frozen=True, slots=True)
class _Snapshot:
    migrations: tuple[tuple[str, str], ...]
    file: BinaryIO
    tables: tuple[Table, ...] = ()

    def members(self) -> Iterator[Member]:
        size = self.file.seek(0, os.SEEK_END)
        self.file.seek(0)
        yield Member(FILE, size, self.file)


@dataclass(frozen=True, slots=True)
class _Loader:
    path: Path

    def take(self, member: Member) -> None:
        if member.name != FILE:
            raise UnreadableFile(f"the backup has a part that belongs to no SQLite database: {member.name}")
        with self.path.open("xb") as file:
            shutil.copyfileobj(member.content, file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())

    def finish(self) -> None:
        if not self.path.exists():
            raise UnreadableFile("the backup has no database")
        with closing(sqlite3.connect(self.path)) as database:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise UnreadableFile(f"the database in the backup is damaged: {found}")


class SQLite:
    kind: Kind = "sqlite"

    @contextmanager
    def snapshot(self, data_dir: Path) -> Iterator[Snapshot]:
        """A copy by SQLite's online backup. Its file has no name, so that nothing is left of it however this ends."""
        with tempfile.NamedTemporaryFile(dir=data_dir, prefix=".backup-", delete=False) as file:
            copy = sqlite3.connect(file.name)
            Path(file.name).unlink()
            with closing(copy):
                copy.execute("PRAGMA journal_mode = OFF")
                with closing(sqlite3.connect(f"{_path().absolute().as_uri()}?mode=ro", uri=True)) as source:
                    migrations = _copied(source, copy)
            yield _Snapshot(migrations, file)  # type: ignore[arg-type]  # it reads as a BinaryIO does

    @contextmanager
    def loading(self, manifest: Manifest, folder: Path) -> Iterator[_Loader]:
        new = folder / "face.sqlite3"
        yield _Loader(new)
        connection.close()
        path = _path()
        for name in (f"{path}-wal", f"{path}-shm"):
            Path(name).unlink(missing_ok=True)
        new.replace(path)

    def is_in_use(self) -> bool:
        """Every connection holds a shared lock on the file."""
        if not _path().exists():
            return False
        connection.close()
        with closing(sqlite3.connect(_path(), timeout=1)) as own:
            try:
                own.execute("PRAGMA locking_mode = EXCLUSIVE")
                own.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError:
                return True
        return False

    def has_tenants(self) -> bool:
        if not _path().exists():
            return False
        with closing(sqlite3.connect(_path())) as own:
            table = Tenant._meta.db_table
            if not own.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [table]).fetchone():
                return False
            return own.execute(f"SELECT 1 FROM {table}").fetchone() is not None  # noqa: S608  the model's own name


def _path() -> Path:
    return Path(connection.settings_dict["NAME"])


def _copied(source: sqlite3.Connection, copy: sqlite3.Connection) -> tuple[tuple[str, str], ...]:
    """Copy the database, and return its migrations. Both are of the moment at which the transaction began."""
    source.execute("BEGIN")
    migrations = tuple(source.execute("SELECT app, name FROM django_migrations ORDER BY id"))
    source.backup(copy)
    return migrations

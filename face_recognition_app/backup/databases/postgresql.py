"""PostgreSQL: the rows of the service's own tables, as COPY gives them.

Tables, indexes and constraints are made by the migrations that the backup names, so a backup needs no program of the
server's version, and fits every server that the service runs with.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from django.apps import apps
from django.db import DataError, IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from psycopg import sql

from backup.archive import Kind, Manifest, Member, Table
from backup.databases import PREFIX, Snapshot
from backup.errors import UnreadableFile
from tenants.models import Tenant

PART_BYTES = 8 << 20
ROWS = f"{PREFIX}rows/"
SEQUENCES = f"{PREFIX}sequences.json"
PROJECTIONS = ("gallery_vector", "gallery_projection")
"""Tables of the pgvector store, which makes and fills them itself."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    migrations: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]

    def members(self) -> Iterator[Member]:
        for table in self.tables:
            for number, part in enumerate(_parts(table), 1):
                yield Member.of(f"{ROWS}{table.name}/{number:06}", part)
        yield Member.of(SEQUENCES, json.dumps(dict(_sequences(self.tables))).encode())


@dataclass(frozen=True, slots=True)
class _Loader:
    tables: dict[str, Table] = field(default_factory=dict)

    def take(self, member: Member) -> None:
        if member.name == SEQUENCES:
            _set_sequences(json.loads(member.content.read()))
            return
        table = self.tables.get(member.name.removeprefix(ROWS).partition("/")[0])
        if table is None:
            raise UnreadableFile(f"the backup has a part that belongs to no table: {member.name}")
        statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), _columns(table))
        try:
            with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(statement) as copy:
                while part := member.content.read(1 << 20):
                    copy.write(part)
        except (DataError, IntegrityError) as error:
            raise UnreadableFile(f"the rows of {table.name} in the backup do not fit: {error}") from error

    def finish(self) -> None:
        """Foreign keys are checked at the end of the transaction, which would be too late to change nothing."""
        try:
            connection.check_constraints()
        except IntegrityError as error:
            raise UnreadableFile(f"the database in the backup is damaged: {error}") from error


class PostgreSQL:
    kind: Kind = "postgresql"

    @contextmanager
    def snapshot(self, data_dir: Path) -> Iterator[Snapshot]:
        """Yield a snapshot of the database, read in one transaction that blocks nobody."""
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                cursor.execute("SET LOCAL datestyle = 'ISO, YMD'")
                cursor.execute("SELECT app, name FROM django_migrations ORDER BY id")
                migrations = tuple(cursor.fetchall())
            yield _Snapshot(migrations, _tables())

    @contextmanager
    def loading(self, manifest: Manifest, folder: Path) -> Iterator[_Loader]:
        with transaction.atomic():
            _drop(table.name for table in manifest.tables)
            _migrate_to(manifest.migrations)
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL datestyle = 'ISO, YMD'")
                names = sql.SQL(", ").join(sql.Identifier(table.name) for table in manifest.tables)
                cursor.execute(sql.SQL("TRUNCATE {}").format(names))  # Of the rows that migrations have made.
                cursor.execute("SET CONSTRAINTS ALL DEFERRED")  # Some migrations leave theirs immediate.
            yield _Loader({table.name: table for table in manifest.tables})

    def is_in_use(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            return bool(cursor.fetchone()[0])

    def has_tenants(self) -> bool:
        return Tenant._meta.db_table in connection.introspection.table_names() and Tenant.objects.exists()


def _tables() -> tuple[Table, ...]:
    models = apps.get_models(include_auto_created=True)
    return tuple(
        Table(name=model._meta.db_table, columns=tuple(str(one.column) for one in model._meta.concrete_fields))
        for model in models
        if model._meta.managed
    )


def _columns(table: Table) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name in table.columns)


def _parts(table: Table) -> Iterator[bytes]:
    """The rows in parts of about PART_BYTES. The server sends each row as a message of its own."""
    part = bytearray()
    statement = sql.SQL("COPY {} ({}) TO STDOUT").format(sql.Identifier(table.name), _columns(table))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in copy:
            part += row
            if len(part) >= PART_BYTES:
                yield bytes(part)
                part.clear()
    if part:
        yield bytes(part)


def _sequences(tables: Iterable[Table]) -> Iterator[tuple[str, int]]:
    """By the table's and the column's name, the number that was given last. A number is given once, also after the row
    is gone."""
    with connection.cursor() as cursor:
        for table in tables:
            for column in table.columns:
                cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [f'"{table.name}"', column])
                (name,) = cursor.fetchone()
                if name is not None:
                    cursor.execute(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {name}")  # noqa: S608
                    yield f"{table.name}.{column}", cursor.fetchone()[0]


def _set_sequences(given: dict[str, int]) -> None:
    with connection.cursor() as cursor:
        for place, last in given.items():
            table, _, column = place.partition(".")
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence(%s, %s), greatest(%s, 1), %s)",
                [f'"{table}"', column, last, last > 0],
            )


def _drop(names: Iterable[str]) -> None:
    ours = {table.name for table in _tables()} | {"django_migrations", *PROJECTIONS, *names}
    there = sorted(ours & set(connection.introspection.table_names()))
    if there:
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.SQL(", ").join(map(sql.Identifier, there))))


def _migrate_to(migrations: Iterable[tuple[str, str]]) -> None:
    executor = MigrationExecutor(connection)
    wanted = set(migrations)
    nodes = executor.loader.graph.node_map
    last = [
        one
        for one in wanted
        if not any(child.key in wanted and child.key[0] == one[0] for child in nodes[one].children)
    ]
    executor.migrate(sorted(last))

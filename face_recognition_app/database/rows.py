"""Single rows that are found by equal columns, at a fraction of what Django's own query costs.

Django takes several times as long to write such a query as the database to answer it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from django.db import connection, models
from django.db.transaction import TransactionManagementError

from database.owned import TenantOwned, TenantRequired

M = TypeVar("M", bound=models.Model)


@dataclass(frozen=True, slots=True)
class _Table:
    """What is the same of all queries of one model. `converters`: of what the database gives, by the column's place."""

    select: str
    fields: Sequence[models.Field[Any, Any]]
    names: Sequence[str]
    converters: Sequence[tuple[int, Callable[..., Any]]]


def find(model: type[M], **equal: object) -> M | None:
    """The row whose columns have these values. They name the tenant where rows belong to one."""
    return _find(model, equal, "")


def lock(model: type[M], **equal: object) -> M | None:
    """Do as `find`, and lock the row until the transaction ends. SQLite lets one transaction write at a time anyway."""
    if connection.get_autocommit():
        raise TransactionManagementError("a row is locked in a transaction")
    can_lock = connection.features.has_select_for_update
    return _find(model, equal, connection.ops.for_update_sql(no_key=True) if can_lock else "")


def find_by_secret(model: type[M], column: str, value: str) -> M | None:
    """The row with a value that says itself whose it is."""
    return _read(model, f"{column} = %s", [value])


def _find(model: type[M], equal: dict[str, object], ending: str) -> M | None:
    if issubclass(model, TenantOwned) and "tenant_id" not in equal:
        raise TenantRequired(f"a row of {model.__name__} is found by its tenant")
    columns = " AND ".join(f"{column} = %s" for column in equal)
    return _read(model, f"{columns} {ending}", [_stored(model, column, value) for column, value in equal.items()])


def _read(model: type[M], condition: str, values: Sequence[Any]) -> M | None:
    table = _table(model, connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(f"{table.select} WHERE {condition}", values)
        found = cursor.fetchone()
    if found is None:
        return None
    row = list(found)
    for place, convert in table.converters:
        row[place] = convert(row[place], table.fields[place].cached_col, connection)
    return model.from_db(connection.alias, table.names, row)


@cache
def _table(model: type[models.Model], vendor: str) -> _Table:
    """`vendor`: of the connection's database, which decides what is converted."""
    fields, quoted = model._meta.concrete_fields, connection.ops.quote_name
    columns = ", ".join(quoted(str(field.column)) for field in fields)
    select = f"SELECT {columns} FROM {quoted(model._meta.db_table)}"  # noqa: S608  the names are the model's own
    converters = [
        (place, convert)
        for place, field in enumerate(fields)
        for convert in (
            *connection.ops.get_db_converters(field.cached_col),
            *field.get_db_converters(connection),
        )
    ]
    return _Table(select, fields, [field.attname for field in fields], converters)


def _stored(model: type[models.Model], column: str, value: object) -> object:
    """The value as the database has it."""
    field = model._meta.get_field(column)
    assert isinstance(field, models.Field)
    return field.get_db_prep_value(value, connection)

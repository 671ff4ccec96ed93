"""HNSW graphs: partial indexes of PostgreSQL, one for each projection that is large enough."""

from __future__ import annotations

from contextlib import suppress

from django.db import ProgrammingError, connection

from gallery.stores.pgvector.projections import Projection

INDEXED_FROM = 20_000
"""Vectors from which a projection has a graph. Fewer are compared one by one in less than 20 ms."""

_PREFIX = "gallery_vector_graph_"

_STATE = """
    SELECT indisvalid,
        EXISTS (SELECT FROM pg_stat_progress_create_index progress WHERE progress.index_relid = indexrelid)
    FROM pg_index WHERE indexrelid = to_regclass(%s)
"""
_ABANDONED = """
    SELECT relname FROM pg_class
    WHERE relkind = 'i' AND relname LIKE %s AND pg_table_is_visible(oid)
    AND NOT EXISTS (SELECT FROM gallery_projection WHERE relname = %s || id)
"""


def build(projection: Projection) -> None:
    """Build the projection's graph, which may take minutes, while others read and write. Not in a transaction.

    Returns at once when another process builds it. A build that was cut off leaves an index that is not valid, and is
    begun anew. Searches use the graph from the moment in which `is_indexed` is set.
    """
    name = f"{_PREFIX}{projection.id}"
    with connection.cursor() as cursor:
        cursor.execute(_STATE, [name])
        is_valid, is_being_built = cursor.fetchone() or (False, False)
        if is_being_built:
            return
        if not is_valid:
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            cursor.execute(
                f"CREATE INDEX CONCURRENTLY {name} ON gallery_vector USING hnsw (vector halfvec_ip_ops)"
                f" WHERE projection_id = {projection.id}"
            )
        cursor.execute("UPDATE gallery_projection SET is_indexed = true WHERE id = %s", [projection.id])


def drop(projection: Projection) -> None:
    """Drop the projection's graph, if there is one. Not in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE gallery_projection SET is_indexed = false WHERE id = %s", [projection.id])
        cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_PREFIX}{projection.id}")


def drop_abandoned() -> None:
    """Drop graphs of projections that are gone, as those of a deleted tenant are. Not in a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_ABANDONED, [f"{_PREFIX}%", _PREFIX])
        for (name,) in cursor.fetchall():
            with suppress(ProgrammingError):  # Another process has dropped it.
                cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")

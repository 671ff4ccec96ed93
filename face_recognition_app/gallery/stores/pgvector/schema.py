"""Tables of the projection in PostgreSQL. They exist only where this store is in use, so no migration makes them.

A projection is one copy of a tenant's templates of one model, turned by the tenant's secret of one epoch. Triggers
count its templates and its vectors: whatever adds or deletes a row, and whichever store is in use then, a projection is
complete exactly when the numbers are equal.
"""

from __future__ import annotations

from django.db import ProgrammingError, connection, transaction

from core.types import EMBEDDING_LENGTH
from gallery.models import Template
from tenants.models import Tenant

EXTENSION = "vector"
OLDEST_VERSION = (0, 8)
"""Iterative scans of an index came with this version of pgvector."""

NEEDS_POSTGRESQL = (
    "FACE_GALLERY_STORE=pgvector needs PostgreSQL: set DATABASE_URL to postgresql://..., or choose another store"
)
NEEDS_EXTENSION = (
    "FACE_GALLERY_STORE=pgvector needs the extension pgvector {version} or newer, which this PostgreSQL server does not"
    " have: install it there (PostgreSQL's own packages call it postgresql-NN-pgvector), or choose another store"
)
NEEDS_PERMISSION = (
    "the database role of DATABASE_URL may not create or update the extension pgvector: let an administrator run"
    " CREATE EXTENSION vector, or ALTER EXTENSION vector UPDATE, in this database"
)

_LOCK = 7_106_934_512
"""Advisory lock of the processes that make the tables; any number that nobody else uses."""

_TABLES = f"""
    CREATE TABLE IF NOT EXISTS gallery_projection (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        tenant_id bigint NOT NULL REFERENCES {Tenant._meta.db_table} ON DELETE CASCADE,
        model_id varchar(64) NOT NULL,
        epoch bigint NOT NULL,
        templates bigint NOT NULL,
        vectors bigint NOT NULL DEFAULT 0,
        is_indexed boolean NOT NULL DEFAULT false
    );
    CREATE INDEX IF NOT EXISTS gallery_projection_by_tenant ON gallery_projection (tenant_id, model_id, id);

    CREATE TABLE IF NOT EXISTS gallery_vector (
        projection_id bigint NOT NULL REFERENCES gallery_projection ON DELETE CASCADE,
        template_id bigint NOT NULL REFERENCES {Template._meta.db_table} ON DELETE CASCADE,
        vector halfvec({EMBEDDING_LENGTH}) NOT NULL,
        PRIMARY KEY (projection_id, template_id)
    );
    CREATE INDEX IF NOT EXISTS gallery_vector_by_template ON gallery_vector (template_id);
    ALTER TABLE gallery_vector ALTER COLUMN vector SET STORAGE PLAIN;
"""

_TRIGGERS = f"""
    CREATE OR REPLACE FUNCTION gallery_count_templates() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            UPDATE gallery_projection SET templates = 0;
            RETURN NULL;
        END IF;
        UPDATE gallery_projection
        SET templates = templates + CASE TG_OP WHEN 'INSERT' THEN changed.number ELSE -changed.number END
        FROM (SELECT tenant_id, model_id, count(*) AS number FROM changed_rows GROUP BY 1, 2) changed
        WHERE gallery_projection.tenant_id = changed.tenant_id AND gallery_projection.model_id = changed.model_id;
        RETURN NULL;
    END $$;
    CREATE OR REPLACE TRIGGER gallery_templates_added AFTER INSERT ON {Template._meta.db_table}
        REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION gallery_count_templates();
    CREATE OR REPLACE TRIGGER gallery_templates_deleted AFTER DELETE ON {Template._meta.db_table}
        REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION gallery_count_templates();
    CREATE OR REPLACE TRIGGER gallery_templates_truncated AFTER TRUNCATE ON {Template._meta.db_table}
        FOR EACH STATEMENT EXECUTE FUNCTION gallery_count_templates();

    CREATE OR REPLACE FUNCTION gallery_count_moved() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE gallery_projection
        SET templates = templates + changed.number
        FROM (
            SELECT tenant_id, model_id, sum(number) AS number FROM (
                SELECT tenant_id, model_id, 1 AS number FROM new_rows
                UNION ALL SELECT tenant_id, model_id, -1 FROM old_rows
            ) each_row GROUP BY 1, 2 HAVING sum(number) <> 0
        ) changed
        WHERE gallery_projection.tenant_id = changed.tenant_id AND gallery_projection.model_id = changed.model_id;
        RETURN NULL;
    END $$;
    CREATE OR REPLACE TRIGGER gallery_templates_moved AFTER UPDATE ON {Template._meta.db_table}
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION gallery_count_moved();

    CREATE OR REPLACE FUNCTION gallery_count_vectors() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'TRUNCATE' THEN
            UPDATE gallery_projection SET vectors = 0;
            RETURN NULL;
        END IF;
        UPDATE gallery_projection
        SET vectors = vectors + CASE TG_OP WHEN 'INSERT' THEN changed.number ELSE -changed.number END
        FROM (SELECT projection_id, count(*) AS number FROM changed_rows GROUP BY 1) changed
        WHERE id = changed.projection_id;
        RETURN NULL;
    END $$;
    CREATE OR REPLACE TRIGGER gallery_vectors_added AFTER INSERT ON gallery_vector
        REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION gallery_count_vectors();
    CREATE OR REPLACE TRIGGER gallery_vectors_deleted AFTER DELETE ON gallery_vector
        REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION gallery_count_vectors();
    CREATE OR REPLACE TRIGGER gallery_vectors_truncated AFTER TRUNCATE ON gallery_vector
        FOR EACH STATEMENT EXECUTE FUNCTION gallery_count_vectors();
"""  # noqa: S608  the names are the models' own


class StoreUnusable(Exception):
    """This database cannot have the store; the message says what to do."""


def prepare_database() -> None:
    """Make the extension, the tables and the triggers, where they are missing. Needs the migrated database.

    Safe to call from several processes at once. Raises StoreUnusable.
    """
    if connection.vendor != "postgresql":
        raise StoreUnusable(NEEDS_POSTGRESQL)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        _ensure_extension()
        cursor.execute(_TABLES)
        cursor.execute(_TRIGGERS)


def _ensure_extension() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT default_version, installed_version FROM pg_available_extensions WHERE name = %s", [EXTENSION]
        )
        available, installed = cursor.fetchone() or ("", None)
        if installed is not None and _version(installed) >= OLDEST_VERSION:
            return
        if _version(available) < OLDEST_VERSION:
            raise StoreUnusable(NEEDS_EXTENSION.format(version=".".join(map(str, OLDEST_VERSION))))
        try:
            cursor.execute(
                f"CREATE EXTENSION {EXTENSION}" if installed is None else f"ALTER EXTENSION {EXTENSION} UPDATE"
            )
        except ProgrammingError as error:
            raise StoreUnusable(NEEDS_PERMISSION) from error


def _version(text: str) -> tuple[int, ...]:
    """Numbers of a version; empty, and so less than any other, for no version."""
    return tuple(int(part) for part in text.split(".") if part.isdecimal())

"""Projections of galleries: how they are begun, filled, followed and deleted.

Every change of a projection's rows is made while the tenant is locked, as enrolments and deletions are. A transaction
that begins a projection therefore sees every earlier enrolment, and every later one sees the projection.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from django.db import Error, connection, transaction

from core.types import Embeddings
from gallery.models import Template
from gallery.protection import Protected, TemplateProtection
from gallery.stores.base import Advance
from gallery.stores.pgvector.halves import halves_of, to_binary
from tenants.models import Tenant

PAGE = 1_000
"""Templates that are read, turned and written at once: the tenant is locked while they are written, for some 20 ms."""
ROWS_DELETED_AT_ONCE = 5_000

_TEMPLATE = Template._meta.db_table

_BEGIN = f"""
    INSERT INTO gallery_projection (tenant_id, model_id, epoch, templates)
    SELECT %(tenant)s, %(model)s, %(epoch)s, count(*) FROM {_TEMPLATE}
    WHERE tenant_id = %(tenant)s AND model_id = %(model)s
    RETURNING id, epoch, templates, vectors, is_indexed
"""  # noqa: S608  the names are the models' own
_OF_ALL = """
    SELECT tenant_id, id, epoch, templates, vectors,
        is_indexed AND to_regclass('gallery_vector_graph_' || id) IS NOT NULL
    FROM gallery_projection WHERE model_id = %s ORDER BY id
"""
_RECOUNT = f"""
    UPDATE gallery_projection SET
        templates = (SELECT count(*) FROM {_TEMPLATE} WHERE tenant_id = %(tenant)s AND model_id = %(model)s),
        vectors = (SELECT count(*) FROM gallery_vector WHERE projection_id = %(id)s)
    WHERE id = %(id)s AND templates <> vectors
"""  # noqa: S608
_MISSING = f"""
    SELECT template.id, template.vector FROM {_TEMPLATE} template
    LEFT JOIN gallery_vector ON projection_id = %s AND template_id = template.id
    WHERE tenant_id = %s AND model_id = %s AND template.id > %s AND template_id IS NULL
    ORDER BY template.id LIMIT %s
"""  # noqa: S608
_STILL_MISSING = f"""
    SELECT template.id FROM {_TEMPLATE} template
    LEFT JOIN gallery_vector ON projection_id = %s AND template_id = template.id
    WHERE template.id = ANY(%s) AND template_id IS NULL
"""  # noqa: S608
_DELETE_SOME = """
    DELETE FROM gallery_vector WHERE projection_id = %(id)s AND template_id IN
    (SELECT template_id FROM gallery_vector WHERE projection_id = %(id)s LIMIT %(limit)s)
"""
_WRITE = "COPY gallery_vector (projection_id, template_id, vector) FROM STDIN (FORMAT BINARY)"


@dataclass(frozen=True, slots=True)
class Projection:
    """One row of gallery_projection, as it was read."""

    id: int
    epoch: int
    templates: int
    vectors: int
    is_indexed: bool

    @property
    def is_complete(self) -> bool:
        return self.templates == self.vectors


@dataclass(frozen=True, slots=True)
class Projections:
    """The projections of all tenants' templates of one model."""

    model_id: str
    protection: TemplateProtection

    def of(self, tenant: Tenant) -> list[Projection]:
        """The tenant's projections, oldest first."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, epoch, templates, vectors, is_indexed FROM gallery_projection"
                " WHERE tenant_id = %s AND model_id = %s ORDER BY id",
                [tenant.pk, self.model_id],
            )
            return [Projection(*row) for row in cursor.fetchall()]

    def searched(self, tenant: Tenant) -> Projection | None:
        """The projection to search: the newest complete one, but an older one while only that has an index."""
        complete = [projection for projection in self.of(tenant) if projection.is_complete]
        return max(complete, key=lambda one: (one.is_indexed, one.id), default=None)

    def of_all(self) -> Mapping[int, Sequence[Projection]]:
        """The projections of each tenant, oldest first, by the tenant's primary key. Those whose graph was dropped by
        somebody are not indexed."""
        found = defaultdict(list)
        with connection.cursor() as cursor:
            cursor.execute(_OF_ALL, [self.model_id])
            for tenant_pk, *row in cursor.fetchall():
                found[tenant_pk].append(Projection(*row))
        return found

    @contextmanager
    def rebuilding(self, tenant: Tenant) -> Iterator[bool]:
        """Be the one process that projects the tenant's gallery anew; yields whether it is this one. Not in a
        transaction. The database ends it with the connection."""
        key = f"gallery {tenant.pk} {self.model_id}"
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [key])
            (mine,) = cursor.fetchone()
        try:
            yield mine
        finally:
            with suppress(Error):
                if mine:
                    with connection.cursor() as cursor:
                        cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])

    def begin(self, tenant: Tenant, *, anew: bool) -> Projection:
        """Return the tenant's newest projection of the present epoch, or begin one.

        `anew` passes over a complete one, but goes on with one that is incomplete.
        """
        with transaction.atomic():
            tenant.lock()
            epoch = self.protection.epoch(tenant)
            newest = self.of(tenant)[-1:]
            if newest and newest[0].epoch == epoch and not (anew and newest[0].is_complete):
                return newest[0]
            with connection.cursor() as cursor:
                cursor.execute(_BEGIN, {"tenant": tenant.pk, "model": self.model_id, "epoch": epoch})
                return Projection(*cursor.fetchone())

    def begin_alone(self, tenant: Tenant) -> None:
        """Delete the tenant's projections of every model, and make one, in the caller's transaction."""
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM gallery_projection WHERE tenant_id = %s", [tenant.pk])
        self.fill(tenant, self.begin(tenant, anew=True), lambda done, total: None)

    def fill(self, tenant: Tenant, projection: Projection, progress: Advance) -> None:
        """Project the templates that are missing, page by page. Whatever ends it, a page that was written stays.

        Ends early when somebody deletes the projection.
        """
        last = 0
        while page := self._missing(tenant, projection, last):
            last = page[-1][0]
            turned = self._turned([stored for _, stored in page], tenant, projection)
            with transaction.atomic():
                tenant.lock()
                now = self._reread(tenant, projection)
                if now is None:
                    return
                wanted = _still_missing(projection, [pk for pk, _ in page])
                kept = [row for row, (pk, _) in enumerate(page) if pk in wanted]
                _write(projection, [page[row][0] for row in kept], turned[kept])
            progress(now.vectors + len(kept), now.templates)
        self._recount(tenant, projection)

    def add(self, tenant: Tenant, templates: Sequence[Template]) -> None:
        """Write new templates into every projection, complete or not. The caller has locked the tenant.

        One whose secret is gone gets none, and so is incomplete.
        """
        own = [template for template in templates if template.model_id == self.model_id]
        projections = [one for one in self.of(tenant) if self.protection.knows(tenant, one.epoch)] if own else []
        if not projections:
            return
        stored = [bytes(template.vector) for template in own]
        for projection in projections:
            turned = self._turned(stored, tenant, projection)
            _write(projection, [template.pk for template in own], turned)

    def delete(self, tenant: Tenant, projection: Projection) -> None:
        """Delete a projection in short transactions. With the first one it is incomplete, and not searched any more."""
        while True:
            with transaction.atomic(), connection.cursor() as cursor:
                tenant.lock()
                cursor.execute(_DELETE_SOME, {"id": projection.id, "limit": ROWS_DELETED_AT_ONCE})
                if cursor.rowcount < ROWS_DELETED_AT_ONCE:
                    cursor.execute("DELETE FROM gallery_projection WHERE id = %s", [projection.id])
                    return

    def _missing(self, tenant: Tenant, projection: Projection, after: int) -> list[tuple[int, bytes]]:
        with connection.cursor() as cursor:
            cursor.execute(_MISSING, [projection.id, tenant.pk, self.model_id, after, PAGE])
            return [(pk, bytes(stored)) for pk, stored in cursor.fetchall()]

    def _reread(self, tenant: Tenant, projection: Projection) -> Projection | None:
        return next((one for one in self.of(tenant) if one.id == projection.id), None)

    def _recount(self, tenant: Tenant, projection: Projection) -> None:
        """Count anew what nobody has told a projection of that is still incomplete: rows that were changed without the
        triggers, or beside its beginning without the tenant's lock. Else it would be incomplete for ever."""
        with transaction.atomic(), connection.cursor() as cursor:
            tenant.lock()
            cursor.execute("SELECT FROM gallery_projection WHERE id = %s FOR UPDATE", [projection.id])
            cursor.execute(_RECOUNT, {"id": projection.id, "tenant": tenant.pk, "model": self.model_id})

    def _turned(self, stored: Sequence[bytes], tenant: Tenant, projection: Projection) -> Embeddings:
        return self.protection.restore_turned([Protected(one) for one in stored], tenant, projection.epoch)


def _still_missing(projection: Projection, ids: Sequence[int]) -> set[int]:
    """Those of `ids` that were not deleted, and that nobody else has projected meanwhile."""
    with connection.cursor() as cursor:
        cursor.execute(_STILL_MISSING, [projection.id, list(ids)])
        return {pk for (pk,) in cursor.fetchall()}


def _write(projection: Projection, ids: Sequence[int], turned: Embeddings) -> None:
    """Write rows with COPY, which takes the binary form of a vector."""
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(_WRITE) as copy:
        copy.set_types(["int8", "int8", "bytea"])
        for pk, row in zip(ids, halves_of(turned), strict=True):
            copy.write_row((projection.id, pk, to_binary(row)))

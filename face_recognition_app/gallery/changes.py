"""Log of the changes in a tenant's gallery. Indexes of the gallery follow it.

`Tenant.gallery_version` is the gallery's revision. It is raised in the transaction that changes a template, and the row
stays locked until that transaction ends: revisions are committed in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, QuerySet

from database import clock
from gallery.models import Template, TemplateChange
from tenants.models import Tenant

CHANGE_RETENTION = timedelta(days=1)
"""Retention of a change that others followed. An index that was not brought up to date for longer is made anew."""
MAX_CHANGES_READ = 20_000
"""Most changes that are read one by one. For more, reading the whole gallery is as cheap."""

_REVISION_AND_LATER_CHANGES = f"""
    SELECT tenant.gallery_version, later.revision, later.template_pk, later.added, later.changed_at
    FROM {Tenant._meta.db_table} tenant
    LEFT JOIN {TemplateChange._meta.db_table} later ON later.tenant_id = tenant.id AND later.revision >= %s
    WHERE tenant.id = %s ORDER BY later.revision LIMIT %s
"""  # noqa: S608  the names are the models' own
"""Every search makes this query. Django takes several times as long to write it as SQLite to answer it."""

_RAISE_REVISION = f"""
    UPDATE {Tenant._meta.db_table} SET gallery_version = gallery_version + %s WHERE id = %s RETURNING gallery_version
"""  # noqa: S608  likewise

_LATEST_OF_ALL = f"""
    SELECT tenant.id, tenant.gallery_version, latest.revision, latest.template_pk, latest.added, latest.changed_at
    FROM {Tenant._meta.db_table} tenant
    LEFT JOIN {TemplateChange._meta.db_table} latest
    ON latest.tenant_id = tenant.id AND latest.revision = tenant.gallery_version
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Changes:
    """Primary keys of templates that were added and still exist, and of those that were removed."""

    added: Sequence[int]
    removed: Sequence[int]


NOTHING = Changes((), ())


@dataclass(frozen=True, slots=True)
class Point:
    """A point in a gallery's history. `mark` is of the change that led there: another database, or an older one put
    back, can reach the same revision by another change. 0 when the log does not have the change.
    """

    revision: int
    mark: int = 0


NOWHERE = Point(-1)


@dataclass(frozen=True, slots=True)
class _Logged:
    revision: int
    template_pk: int
    added: bool
    changed_at: object

    @property
    def mark(self) -> int:
        words = f"{self.template_pk} {self.changed_at}".encode()
        return int.from_bytes(blake2b(words, digest_size=8).digest()) or 1


def revision_of(tenant: Tenant) -> int:
    return Tenant.objects.values_list("gallery_version", flat=True).get(pk=tenant.pk)


def log(tenant_id: int, template_pks: Sequence[int], *, added: bool) -> None:
    """Record added or removed templates, and raise the revision by their number, in the caller's transaction."""
    with transaction.atomic(savepoint=False):
        first = _raised(tenant_id, len(template_pks)) - len(template_pks) + 1
        changed_at = clock.in_query()
        TemplateChange.objects.bulk_create(
            TemplateChange(
                tenant_id=tenant_id,
                revision=revision,
                template_pk=template_pk,
                added=added,
                changed_at=changed_at,
            )
            for revision, template_pk in enumerate(template_pks, first)
        )


def break_off(tenant_id: int) -> None:
    """Raise the revision without an entry, in the caller's transaction: every index of the tenant is made anew."""
    _raised(tenant_id, 1)


def _raised(tenant_id: int, by: int) -> int:
    """The tenant's revision after it was raised. Raises DoesNotExist when the tenant is gone."""
    with connection.cursor() as cursor:
        cursor.execute(_RAISE_REVISION, (by, tenant_id))
        found = cursor.fetchone()
    if found is None:
        raise Tenant.DoesNotExist
    return int(found[0])


def log_deletion(sender: object, instance: Template, **_: Any) -> None:
    """Log a deletion on `pre_delete`: of a template by itself, or with its subject or tenant."""
    log(instance.tenant_id, [instance.pk], added=False)


def since(tenant: Tenant, point: Point) -> tuple[Point, Changes | None]:
    """The gallery's latest point, and the changes from `point` to there; None when the log cannot tell them.

    It cannot when it is incomplete or too long, and when `point` is not of its history. One query tells all, since
    every search asks. Raises DoesNotExist when the tenant is gone.
    """
    latest, logged = _read(tenant, max(point.revision, 0))
    reached = Point(latest, logged[-1].mark if logged and logged[-1].revision == latest else 0)
    led_there = logged.pop(0).mark if logged and logged[0].revision == point.revision else 0
    if led_there != point.mark:
        return reached, None
    if latest == point.revision:
        return reached, NOTHING
    if point.revision < 0 or len(logged) != latest - point.revision or len(logged) > MAX_CHANGES_READ:
        return reached, None
    is_there = {one.template_pk: one.added for one in logged}
    added = [pk for pk, there in is_there.items() if there]
    return reached, Changes(added, [pk for pk, there in is_there.items() if not there])


def _read(tenant: Tenant, revision: int) -> tuple[int, list[_Logged]]:
    """The gallery's latest revision, and what the log has of the changes from the one that led to `revision` on."""
    with connection.cursor() as cursor:
        cursor.execute(_REVISION_AND_LATER_CHANGES, (revision, tenant.pk, MAX_CHANGES_READ + 2))
        rows = cursor.fetchall()
    if not rows:
        raise Tenant.DoesNotExist
    return rows[0][0], [_Logged(*row[1:]) for row in rows if row[1] is not None]


def latest(tenant: Tenant) -> Point:
    """The point that the gallery has reached. Raises DoesNotExist when the tenant is gone."""
    return since(tenant, Point(revision_of(tenant)))[0]


def latest_of_all() -> dict[int, Point]:
    """The same of every tenant, by its primary key."""
    with connection.cursor() as cursor:
        cursor.execute(_LATEST_OF_ALL)
        rows = cursor.fetchall()
    return {pk: Point(revision, _Logged(*found).mark if found[0] is not None else 0) for pk, revision, *found in rows}


def old(now: datetime) -> QuerySet[TemplateChange]:
    """Changes to delete: old ones but each tenant's newest, by whose mark an index that has reached it is known."""
    overdue = TemplateChange.across_tenants.filter(changed_at__lt=now - CHANGE_RETENTION)
    return overdue.filter(Exists(overdue.filter(tenant=OuterRef("tenant"), revision__gt=OuterRef("revision"))))

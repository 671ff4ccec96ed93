"""Log of the changes in a tenant's gallery. Copies of the gallery in memory follow it.

`Tenant.gallery_version` is the gallery's revision. It is raised in the transaction that changes a template, and the row
stays locked until that transaction ends: revisions are committed in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet

from database import clock
from gallery.models import Template, TemplateChange
from tenants.models import Tenant

CHANGE_RETENTION = timedelta(days=1)
"""Retention of a change. A worker that did not search a gallery for longer reads the whole gallery again."""
MAX_CHANGES_READ = 20_000
"""Most changes that are read one by one. For more, reading the whole gallery is as cheap."""

_REVISION_AND_LATER_CHANGES = f"""
    SELECT tenant.gallery_version, later.template_pk, later.added
    FROM {Tenant._meta.db_table} tenant
    LEFT JOIN {TemplateChange._meta.db_table} later ON later.tenant_id = tenant.id AND later.revision > %s
    WHERE tenant.id = %s ORDER BY later.revision LIMIT %s
"""  # noqa: S608  the names are the models' own
"""Every search makes this query. Django takes several times as long to write it as SQLite to answer it."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Primary keys of templates that were added and still exist, and of those that were removed."""

    added: Sequence[int]
    removed: Sequence[int]


NOTHING = Changes((), ())


def revision_of(tenant: Tenant) -> int:
    return Tenant.objects.values_list("gallery_version", flat=True).get(pk=tenant.pk)


def log(tenant_id: int, template_pks: Sequence[int], *, added: bool) -> None:
    """Record added or removed templates, and raise the revision by their number, in the caller's transaction."""
    with transaction.atomic(savepoint=False):
        tenant = Tenant.objects.filter(pk=tenant_id)
        tenant.update(gallery_version=F("gallery_version") + len(template_pks))
        first = tenant.values_list("gallery_version", flat=True).get() - len(template_pks) + 1
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


def log_deletion(sender: object, instance: Template, **_: Any) -> None:
    """Log a deletion on `pre_delete`: of a template by itself, or with its subject or tenant."""
    log(instance.tenant_id, [instance.pk], added=False)


def since(tenant: Tenant, revision: int) -> tuple[int, Changes | None]:
    """The tenant's revision, and the changes after `revision` up to it; None when the log is incomplete or too long.

    One query tells both, since every search asks. Raises DoesNotExist when the tenant is gone.
    """
    if revision < 0:
        return revision_of(tenant), None
    with connection.cursor() as cursor:
        cursor.execute(_REVISION_AND_LATER_CHANGES, (revision, tenant.pk, MAX_CHANGES_READ + 1))
        rows = cursor.fetchall()
    if not rows:
        raise Tenant.DoesNotExist
    latest = rows[0][0]
    if latest == revision:
        return latest, NOTHING
    if len(rows) != latest - revision or len(rows) > MAX_CHANGES_READ:
        return latest, None
    is_there = {pk: there for _, pk, there in rows}
    added = [pk for pk, there in is_there.items() if there]
    return latest, Changes(added, [pk for pk, there in is_there.items() if not there])


def old(now: datetime) -> QuerySet[TemplateChange]:
    return TemplateChange.across_tenants.filter(changed_at__lt=now - CHANGE_RETENTION)

"""Log of the changes in a tenant's gallery. Copies of the gallery in memory follow it.

`Tenant.gallery_version` is the gallery's revision. It is raised in the transaction that changes a template, and the row
stays locked until that transaction ends: revisions are committed in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, FilteredRelation, Q, QuerySet

from gallery.models import Template, TemplateChange
from tenants.models import Tenant

CHANGE_RETENTION = timedelta(days=1)
"""Retention of a change. A worker that did not search a gallery for longer reads the whole gallery again."""
MAX_CHANGES_READ = 20_000
"""Most changes that are read one by one. For more, reading the whole gallery is as cheap."""


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
        TemplateChange.objects.bulk_create(
            TemplateChange(tenant_id=tenant_id, revision=revision, template_pk=template_pk, added=added)
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
    later = FilteredRelation("template_changes", condition=Q(template_changes__revision__gt=revision))
    logged = Tenant.objects.filter(pk=tenant.pk).annotate(later=later).order_by("later__revision")
    rows = list(logged.values_list("gallery_version", "later__template_pk", "later__added")[: MAX_CHANGES_READ + 1])
    if not rows:
        raise Tenant.DoesNotExist
    latest = rows[0][0]
    if latest == revision:
        return latest, NOTHING
    if len(rows) != latest - revision or len(rows) > MAX_CHANGES_READ:
        return latest, None
    is_there = {pk: there for _, pk, there in rows}
    added, removed = ([pk for pk, there in is_there.items() if there is wanted] for wanted in (True, False))
    return latest, Changes(added, removed)


def old(now: datetime) -> QuerySet[TemplateChange]:
    return TemplateChange.objects.filter(changed_at__lt=now - CHANGE_RETENTION)

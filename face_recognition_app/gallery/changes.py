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
from django.db.models import F, QuerySet

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


def between(tenant: Tenant, since: int, until: int) -> Changes | None:
    """Changes after the revision `since`, up to `until`; None when the log is incomplete or too long."""
    if since == until:
        return NOTHING
    if not 0 < until - since <= MAX_CHANGES_READ:
        return None
    logged = TemplateChange.objects.filter(tenant=tenant, revision__gt=since, revision__lte=until)
    rows = list(logged.order_by("revision").values_list("template_pk", "added"))
    if len(rows) != until - since:
        return None
    is_there = dict(rows)
    return Changes([pk for pk, there in is_there.items() if there], [pk for pk, there in is_there.items() if not there])


def old(now: datetime) -> QuerySet[TemplateChange]:
    return TemplateChange.objects.filter(changed_at__lt=now - CHANGE_RETENTION)

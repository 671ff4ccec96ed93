"""Rotation of a tenant's secret: every embedding and picture of the tenant is protected anew, while the service runs.

A rotation is the state of the database: it is under way while a secret older than the newest is not retired. So one
that was interrupted goes on at the next call. Enrolments use the newest secret from its commit on.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db import transaction
from django.db.models import BinaryField, QuerySet
from django.db.models.functions import Substr

from audit.chain import Event, record
from config.settings import Settings
from database import clock, write_ahead_log
from gallery import pictures
from gallery.models import Picture, ProtectedRow, TemplateKey
from gallery.protection import Protected
from gallery.protection.errors import Tampered
from gallery.protection.sealed import HEADER_BYTES, SealedProtection, header
from gallery.protection.tenant_secrets import TenantSecrets
from tenants.models import Tenant
from vocabulary.audit import AuditKind

PAGE = 50
"""Rows in one transaction, 10 ms: on SQLite no other write is possible while it lasts."""
PAUSE_S = 0.01
INDEXES_REBUILT_IN = timedelta(days=1)
"""Time in which a machine that was away may still search an index of the old epoch."""


class UnreadableTemplate(Exception):
    """A row stops the rotation: it cannot be protected anew. The message names it."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """`epoch` is the tenant's newest. `templates`: rows protected anew by this call, also those that are no templates;
    it went on with an earlier rotation if `resumed`."""

    tenant: str
    epoch: int
    templates: int
    resumed: bool


def rotate(tenant: Tenant, secrets: TenantSecrets, on_page: Callable[[int, int], None]) -> Rotated:
    """Give the tenant a new secret and protect its templates with it, or go on with that.

    `on_page` is told the templates done and their number. Raises UnreadableTemplate and KeysUnavailable; then another
    call goes on. Retired secrets are deleted later, by `retired`.
    """
    begun = begin(tenant, secrets)
    return Rotated(tenant.name, begun.epoch, go_on(tenant, secrets, begun.epoch, on_page), begun.resumed)


@dataclass(frozen=True, slots=True)
class Begun:
    """A rotation that is under way: to this epoch, `resumed` if somebody had begun it before, and the number of rows
    that are left to be protected anew."""

    epoch: int
    resumed: bool
    left: int


def begin(tenant: Tenant, secrets: TenantSecrets) -> Begun:
    """Begin a rotation, or find the one that is under way."""
    resumed, epoch = _begin(tenant, secrets)
    return Begun(epoch, resumed, sum(rows.count() for rows in _of_older_epochs(tenant, epoch)))


def go_on(tenant: Tenant, secrets: TenantSecrets, epoch: int, on_page: Callable[[int, int], None]) -> int:
    """Go on with the rotation to this epoch until it is done. Returns the number of rows that were protected anew.

    What `on_page` raises ends the call between two pages, and another call goes on. Does nothing when the rotation is
    done, also if another one was begun since. Raises as `rotate` does.
    """
    done, total = 0, sum(rows.count() for rows in _of_older_epochs(tenant, epoch))
    while not _is_done(tenant, epoch):
        on_page(min(done, total), total)
        for rows in _of_older_epochs(tenant, epoch):
            for moved in _pages(rows, tenant, secrets):
                done += moved
                on_page(min(done, total), total)
                time.sleep(PAUSE_S)
        if not _retire_older(tenant, epoch):
            time.sleep(PAUSE_S)  # Rows that others held.
    return done


def _is_done(tenant: Tenant, epoch: int) -> bool:
    return not TemplateKey.objects.filter(tenant=tenant, epoch__lt=epoch, retired_at__isnull=True).exists()


def retired(settings: Settings, now: datetime) -> QuerySet[TemplateKey]:
    """Secrets that nothing needs any more: neither a session that was open when they were retired, nor an index."""
    longest_s = settings.token_ttl_s + max(settings.enrollment_time_limit_s, settings.recognition_time_limit_s)
    return TemplateKey.across_tenants.filter(retired_at__lt=now - INDEXES_REBUILT_IN - timedelta(seconds=longest_s))


def finish(tenant: Tenant) -> int:
    """Delete the tenant's retired secrets now. Returns their number. Open sessions of before the rotation end."""
    with transaction.atomic():
        deleted = delete_retired(tenant)
    write_ahead_log.empty()
    return deleted


def delete_retired(tenant: Tenant) -> int:
    """The same in the caller's transaction, behind which the write-ahead log is to be emptied."""
    return delete_secrets(TemplateKey.objects.filter(tenant=tenant, retired_at__isnull=False))


def delete_secrets(secrets: QuerySet[TemplateKey]) -> int:
    """Delete secrets, and record it with their tenants, in the caller's transaction. Returns their number."""
    epochs: dict[int, list[str]] = defaultdict(list)
    for tenant_id, epoch in secrets.order_by("tenant_id", "epoch").values_list("tenant_id", "epoch"):
        epochs[tenant_id].append(str(epoch))
    deleted, _ = secrets.delete()
    for tenant_id, gone in epochs.items():
        record(tenant_id, Event(AuditKind.TEMPLATE_KEY_DELETED, None, {"epochs": gone}))
    return deleted


def _begin(tenant: Tenant, secrets: TenantSecrets) -> tuple[bool, int]:
    """Whether a rotation is under way, and the newest epoch, which is made if none is."""
    with transaction.atomic():
        tenant.lock()  # Enrolments under way still use the old secret, and later ones the new one.
        in_use = list(TemplateKey.objects.filter(tenant=tenant, retired_at__isnull=True).order_by("epoch"))
        if len(in_use) > 1:
            return True, in_use[-1].epoch
        if not in_use:
            secrets.newest(tenant)
        epoch = secrets.add_epoch(tenant)
        record(tenant.pk, Event(AuditKind.TEMPLATE_KEY_ROTATED, None, {"epoch": epoch}))
        return False, epoch


def _of_older_epochs(tenant: Tenant, epoch: int) -> list[QuerySet[Any]]:
    """Rows of each model that holds embeddings, and pictures."""
    holders: list[Any] = [model for model in apps.get_models() if issubclass(model, ProtectedRow)]
    rows = [_beginning_with(model.objects.filter(tenant=tenant), "vector") for model in holders]
    rows.append(_beginning_with(Picture.objects.filter(tenant=tenant), "content"))
    return [of_model.exclude(beginning=header(epoch)) for of_model in rows]


def _beginning_with(rows: QuerySet[Any], column: str) -> QuerySet[Any]:
    found: QuerySet[Any] = rows.annotate(beginning=Substr(column, 1, HEADER_BYTES, output_field=BinaryField()))
    return found


def _pages(older: QuerySet[Any], tenant: Tenant, secrets: TenantSecrets) -> Iterator[int]:
    """Protect every row anew, page by page, except those that others hold. Yields the size of each page."""
    last = 0
    while True:
        with transaction.atomic():
            # Skip locked rows to avoid deadlocks; the next pass gets them.
            page = list(older.filter(pk__gt=last).order_by("pk").select_for_update(skip_locked=True)[:PAGE])
            for row in page:
                _protect_anew(row, tenant, secrets)
        if not page:
            return
        last = page[-1].pk
        yield len(page)


def _protect_anew(row: Any, tenant: Tenant, secrets: TenantSecrets) -> None:
    try:
        changed = (
            _picture_anew(row, tenant, secrets) if isinstance(row, Picture) else _vector_anew(row, tenant, secrets)
        )
    except Tampered as error:
        raise UnreadableTemplate(
            f"{row._meta.verbose_name} {row} of tenant {tenant.name} cannot be read ({error}): "
            "delete it, and begin again"
        ) from error
    type(row).objects.filter(tenant=tenant, pk=row.pk).update(**changed)


def _vector_anew(row: ProtectedRow, tenant: Tenant, secrets: TenantSecrets) -> dict[str, bytes]:
    protection = SealedProtection(row.model_id, secrets)
    (vector,) = protection.protect(protection.restore([Protected(bytes(row.vector))], tenant), tenant)
    return {"vector": vector}


def _picture_anew(row: Picture, tenant: Tenant, secrets: TenantSecrets) -> dict[str, bytes]:
    return {"content": pictures.sealed_anew(row, tenant, SealedProtection("", secrets))}


def _retire_older(tenant: Tenant, epoch: int) -> bool:
    """Retire the older secrets, unless rows of them are left; returns whether they are retired. Waits for transactions
    that store with one."""
    with transaction.atomic():
        older = TemplateKey.objects.filter(tenant=tenant, epoch__lt=epoch, retired_at__isnull=True)
        list(older.select_for_update().values_list("pk"))
        if any(rows.exists() for rows in _of_older_epochs(tenant, epoch)):
            return False
        older.update(retired_at=clock.in_query())
    return True

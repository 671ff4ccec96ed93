"""Rotation of a tenant's secret: every template is protected anew, while the service runs.

A rotation is the state of the database: it is under way while a secret older than the newest is not retired. So one
that was interrupted goes on at the next call. Enrolments use the newest secret from its commit on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import BinaryField, QuerySet
from django.db.models.functions import Substr

from config.settings import Settings
from database import clock, write_ahead_log
from gallery.models import Template, TemplateKey
from gallery.protection import Protected
from gallery.protection.errors import Tampered
from gallery.protection.sealed import HEADER_BYTES, SealedProtection, header
from gallery.protection.tenant_secrets import TenantSecrets
from tenants.models import Tenant

PAGE = 50
"""Templates in one transaction, 10 ms: on SQLite no other write is possible while it lasts."""
PAUSE_S = 0.01
INDEXES_REBUILT_IN = timedelta(days=1)
"""Time in which a machine that was away may still search an index of the old epoch."""


class UnreadableTemplate(Exception):
    """A template stops the rotation: it cannot be protected anew. The message names it."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """`epoch` is the tenant's newest. `templates`: those protected anew by this call, which went on if `resumed`."""

    tenant: str
    epoch: int
    templates: int
    resumed: bool


def rotate(tenant: Tenant, secrets: TenantSecrets, on_page: Callable[[int, int], None]) -> Rotated:
    """Give the tenant a new secret and protect its templates with it, or go on with that.

    `on_page` is told the templates done and their number. Raises UnreadableTemplate and KeysUnavailable; then another
    call goes on. Retired secrets are deleted later, by `retired`.
    """
    resumed, epoch = _begin(tenant, secrets)
    done, total = 0, _of_older_epochs(tenant, epoch).count()
    on_page(0, total)
    while True:
        for moved in _pages(tenant, epoch, secrets):
            done += moved
            on_page(min(done, total), total)
            time.sleep(PAUSE_S)
        if _retire_older(tenant, epoch):
            return Rotated(tenant.name, epoch, done, resumed)
        time.sleep(PAUSE_S)  # Rows that others held.


def retired(settings: Settings, now: datetime) -> QuerySet[TemplateKey]:
    """Secrets that nothing needs any more: neither a session that was open when they were retired, nor an index."""
    longest_s = settings.token_ttl_s + max(settings.enrollment_time_limit_s, settings.recognition_time_limit_s)
    return TemplateKey.across_tenants.filter(retired_at__lt=now - INDEXES_REBUILT_IN - timedelta(seconds=longest_s))


def finish(tenant: Tenant) -> int:
    """Delete the tenant's retired secrets now. Returns their number. Open sessions of before the rotation end."""
    deleted, _ = TemplateKey.objects.filter(tenant=tenant, retired_at__isnull=False).delete()
    write_ahead_log.empty()
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
        return False, secrets.add_epoch(tenant)


def _of_older_epochs(tenant: Tenant, epoch: int) -> QuerySet[Template]:
    beginning = Substr("vector", 1, HEADER_BYTES, output_field=BinaryField())
    return Template.objects.filter(tenant=tenant).annotate(beginning=beginning).exclude(beginning=header(epoch))


def _pages(tenant: Tenant, epoch: int, secrets: TenantSecrets) -> Iterator[int]:
    """Protect every template anew, page by page, except those that others hold. Yields the size of each page."""
    last = 0
    while True:
        with transaction.atomic():
            # Skip locked rows to avoid deadlocks; the next pass gets them.
            rows = _of_older_epochs(tenant, epoch).filter(pk__gt=last).order_by("pk")
            page = list(rows.select_for_update(skip_locked=True)[:PAGE])
            for template in page:
                _protect_anew(template, tenant, secrets)
        if not page:
            return
        last = page[-1].pk
        yield len(page)


def _protect_anew(template: Template, tenant: Tenant, secrets: TenantSecrets) -> None:
    protection = SealedProtection(template.model_id, secrets)
    try:
        (embedding,) = protection.restore([Protected(bytes(template.vector))], tenant)
    except Tampered as error:
        raise UnreadableTemplate(
            f"template {template.public_id} of {template.subject} of tenant {tenant.name} cannot be read ({error}): "
            "delete it, and begin again"
        ) from error
    Template.objects.filter(tenant=tenant, pk=template.pk).update(vector=protection.protect(embedding, tenant))


def _retire_older(tenant: Tenant, epoch: int) -> bool:
    """Retire the older secrets, and return True, unless templates are left."""
    with transaction.atomic():
        tenant.lock()
        if _of_older_epochs(tenant, epoch).exists():
            return False
        older = TemplateKey.objects.filter(tenant=tenant, epoch__lt=epoch, retired_at__isnull=True)
        older.update(retired_at=clock.in_query())
    return True

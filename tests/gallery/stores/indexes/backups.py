"""A backup of a tenant's gallery in the database, and its return: what a restored database looks like to an index."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from gallery.models import Subject, Template, TemplateChange, TemplateKey
from tenants.models import Tenant

_HELD: tuple[Any, ...] = (TemplateKey, Subject, Template, TemplateChange)
"""The models of a gallery, those first that others refer to."""


class Backup:
    """All rows of the gallery as they are when this is made."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self._revision = Tenant.objects.get(pk=tenant.pk).gallery_version
        self._rows = [(model, list(model.objects.filter(tenant=tenant))) for model in _HELD]

    def restore(self) -> None:
        """Put the rows back with their ids; nothing that follows changes of a gallery is told."""
        with transaction.atomic():
            for model in reversed(_HELD):
                rows = model.objects.filter(tenant=self._tenant)
                rows._raw_delete(rows.db)
            for model, rows in self._rows:
                made = [getattr(row, "created_at", None) for row in rows]
                for row, created_at in zip(model.objects.bulk_create(rows), made, strict=True):
                    if created_at is not None:  # Django has put the present in its place.
                        model.objects.filter(tenant=self._tenant, pk=row.pk).update(created_at=created_at)
            Tenant.objects.filter(pk=self._tenant.pk).update(gallery_version=self._revision)

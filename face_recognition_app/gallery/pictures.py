"""Pictures of enrolled faces: the crops that templates were made from, kept where the tenant's policy asks for them.

From such a crop another embedder makes the template that it would have made at the enrolment (gallery.reembedding).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from database import clock
from gallery.models import Picture, Template
from gallery.protection import TemplateProtection
from tenants.models import Tenant


def keep(tenant: Tenant, pictures: Sequence[tuple[Template, bytes]], protection: TemplateProtection) -> None:
    """Keep the pictures of new templates, if that is the policy now; empty ones are none.

    Runs in the transaction that stored the templates, which holds the tenant's lock: changes of the policy wait.
    """
    there = [(template, content) for template, content in pictures if content]
    if not there or not Tenant.objects.values_list("picture_days", flat=True).get(pk=tenant.pk):
        return
    Picture.objects.bulk_create(
        Picture(
            tenant=tenant,
            template=template,
            content=protection.seal(content, tenant, _place(template.pk)),
            created_at=clock.in_query(),
        )
        for template, content in there
    )


def content_of(picture: Picture, tenant: Tenant, protection: TemplateProtection) -> bytes:
    """The PNG. Raises Tampered and KeysUnavailable."""
    return protection.unseal(bytes(picture.content), tenant, _place(picture.template_id))


def sealed_anew(picture: Picture, tenant: Tenant, protection: TemplateProtection) -> bytes:
    """The content under the tenant's newest secret. Raises as `content_of` does."""
    return protection.seal(content_of(picture, tenant, protection), tenant, _place(picture.template_id))


def overdue(now: datetime) -> QuerySet[Picture]:
    """Pictures that are older than their tenant's policy allows now; all of a tenant that keeps none."""
    old = Q(pk__in=[])
    for days in Tenant.objects.values_list("picture_days", flat=True).distinct():
        old |= Q(tenant__picture_days=days, created_at__lte=now - timedelta(days=days))
    return Picture.across_tenants.filter(old)


def _place(template_pk: int) -> str:
    return f"picture of template {template_pk}"

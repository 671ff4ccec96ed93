"""Names of tenants, and finding a tenant by its name."""

from __future__ import annotations

import re

from django.db import IntegrityError, transaction

from audit.chain import Event, record
from tenants.models import Tenant
from vocabulary.audit import AuditKind

_TENANT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class InvalidTenantName(Exception):
    pass


class TenantExists(Exception):
    pass


class TenantNotFound(Exception):
    pass


def check_tenant_name(name: str) -> str:
    if not _TENANT_NAME.fullmatch(name):
        raise InvalidTenantName(f"{name!r}: use 1 to 63 of a-z, 0-9 and -, beginning with a letter or digit")
    return name


def find_tenant(name: str) -> Tenant:
    tenant = Tenant.objects.filter(name=name).first()
    if tenant is None:
        known = ", ".join(Tenant.objects.order_by("name").values_list("name", flat=True)) or "none"
        raise TenantNotFound(f"there is no tenant {name!r}; there is: {known}")
    return tenant


def rename_tenant(name: str, new_name: str) -> Tenant:
    """Rename a tenant. Keys, sessions and people stay; decision tokens carry the new name from now on."""
    tenant = find_tenant(name)
    tenant.name = check_tenant_name(new_name)
    try:
        with transaction.atomic():
            tenant.save(update_fields=["name"])
            record(tenant.pk, Event(AuditKind.TENANT_RENAMED, None, {"before": name, "name": new_name}))
    except IntegrityError as error:
        raise TenantExists(f"there is a tenant {new_name!r} already") from error
    return tenant

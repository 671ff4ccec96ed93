"""Helpers of this package's tests of keys."""

from __future__ import annotations

from gallery.models import Subject, Template
from tenants.keys import find_living_key
from tenants.models import Tenant


def tenant_of(text: str) -> Tenant | None:
    key = find_living_key(text)
    return None if key is None else key.tenant


def two_tenants() -> tuple[Tenant, Tenant]:
    """Tenants that both know one `alice`, with one template."""
    acme, globex = (Tenant.objects.create(name=name) for name in ("acme", "globex"))
    for tenant in (acme, globex):
        alice = Subject.objects.create(tenant=tenant, subject_id="alice", display_name="Alice")
        Template.objects.create(tenant=tenant, subject=alice, model_id="m", vector=b"", quality=1.0)
    return acme, globex

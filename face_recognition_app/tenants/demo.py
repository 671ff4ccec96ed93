"""The demo tenant, which development starts with."""

from __future__ import annotations

from pathlib import Path

from config.secret import read_or_make
from config.settings import Settings
from tenants.keys import FIRST_KEY, create_tenant, issue_key
from tenants.models import Tenant
from tenants.scopes import Scope

DEMO_TENANT = "demo"


def demo_tenant() -> Tenant:
    """Raises Tenant.DoesNotExist."""
    return Tenant.objects.get(name=DEMO_TENANT)


def key_file(settings: Settings) -> Path:
    return settings.data_dir / "demo-api-key"


def ensure_demo_tenant(settings: Settings) -> None:
    """Make the tenant and its key file in the data directory; a lost key file gets a new key."""
    path = key_file(settings)
    tenant = Tenant.objects.filter(name=DEMO_TENANT).first()
    if tenant is None:
        path.unlink(missing_ok=True)
        _, key = create_tenant(DEMO_TENANT)
        read_or_make(path, key.encode)
    elif not path.exists():
        read_or_make(path, issue_key(tenant, FIRST_KEY, Scope).text.encode)

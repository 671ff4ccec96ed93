from __future__ import annotations

import pytest

from tenants.models import Tenant


@pytest.fixture
def tenant(each_database: str) -> Tenant:
    return Tenant.objects.create(name="acme")


@pytest.fixture
def twin(tenant: Tenant) -> Tenant:
    """Another tenant, for the same work without a mishap."""
    return Tenant.objects.create(name="globex")

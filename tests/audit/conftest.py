"""A tenant with a chain of twelve entries, on both databases."""

from __future__ import annotations

import pytest

from tenants.keys import create_tenant
from tenants.models import Tenant
from tests.audit.tampering import fault_of, many


@pytest.fixture
def acme(each_database: str) -> Tenant:
    tenant, _ = create_tenant("acme")
    many(tenant)
    assert fault_of(tenant) == ""
    return tenant

from __future__ import annotations

import pytest

from gallery.search import Gallery
from tenants.models import Tenant

MODEL = "model-a"


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return Tenant.objects.create(name="acme")


@pytest.fixture
def other_tenant(transactional_db: None) -> Tenant:
    return Tenant.objects.create(name="globex")


@pytest.fixture
def gallery() -> Gallery:
    return Gallery(MODEL)


@pytest.fixture
def other_worker() -> Gallery:
    """What another process has in memory: the same model, nothing shared but the database."""
    return Gallery(MODEL)

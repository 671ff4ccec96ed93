from __future__ import annotations

import pytest

from gallery.matching import Gallery, exact_gallery
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
    return exact_gallery(MODEL)


@pytest.fixture
def other_worker() -> Gallery:
    """The gallery of another process: the same model, sharing nothing but the database."""
    return exact_gallery(MODEL)

from __future__ import annotations

from pathlib import Path

import pytest

from gallery.matching import Gallery
from tenants.models import Tenant
from tests.gallery.workers import gallery_of


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return Tenant.objects.create(name="acme")


@pytest.fixture
def other_tenant(transactional_db: None) -> Tenant:
    return Tenant.objects.create(name="globex")


@pytest.fixture
def store_name() -> str:
    return "exact"


@pytest.fixture
def gallery(tmp_path: Path, store_name: str) -> Gallery:
    return gallery_of(tmp_path, store_name)


@pytest.fixture
def other_worker(tmp_path: Path, store_name: str) -> Gallery:
    """The gallery of another process: the same model and data directory."""
    return gallery_of(tmp_path, store_name)

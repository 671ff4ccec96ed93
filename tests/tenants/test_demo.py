from __future__ import annotations

from pathlib import Path

import pytest

from config.settings import Settings, load
from tenants.demo import ensure_demo_tenant
from tenants.models import ApiKey, Tenant
from tests.tenants.support import tenant_of

pytestmark = pytest.mark.usefixtures("transactional_db")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"FACE_DATA_DIR": str(tmp_path)})


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return tmp_path / "demo-api-key"


def test_the_first_start_leaves_a_key_that_works_for_its_owner_only(settings: Settings, key_file: Path) -> None:
    ensure_demo_tenant(settings)
    assert tenant_of(key_file.read_text()) == Tenant.objects.get(name="demo")
    assert key_file.stat().st_mode & 0o777 == 0o600


def test_the_next_start_changes_nothing(settings: Settings, key_file: Path) -> None:
    ensure_demo_tenant(settings)
    key = key_file.read_text()
    ensure_demo_tenant(settings)
    assert key_file.read_text() == key
    assert ApiKey.across_tenants.count() == 1


def test_a_lost_key_file_gets_a_new_key_of_the_same_tenant(settings: Settings, key_file: Path) -> None:
    ensure_demo_tenant(settings)
    tenant = Tenant.objects.get()
    key_file.unlink()
    ensure_demo_tenant(settings)
    assert tenant_of(key_file.read_text()) == tenant


def test_a_key_file_of_a_lost_database_is_replaced(settings: Settings, key_file: Path) -> None:
    key_file.write_text("fk_of-another-database")
    ensure_demo_tenant(settings)
    assert tenant_of(key_file.read_text()) == Tenant.objects.get(name="demo")

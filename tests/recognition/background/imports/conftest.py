"""A tenant with an import folder, and jobs that run in this process with the engine in its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.service import service_settings
from tenants.models import Tenant
from tests.recognition.background.imports.support import end_engines


@pytest.fixture(scope="session", autouse=True)
def engines_end() -> Iterator[None]:
    yield
    end_engines()


@pytest.fixture
def tenant(transactional_db: None) -> Tenant:
    return Tenant.objects.create(name="acme")


@pytest.fixture
def imports() -> Iterator[Path]:
    """The tenant's import folder."""
    place = service_settings().import_dir
    (place / "acme").mkdir(parents=True)
    yield place / "acme"
    shutil.rmtree(place)
    shutil.rmtree(service_settings().data_dir / "import-reports", ignore_errors=True)

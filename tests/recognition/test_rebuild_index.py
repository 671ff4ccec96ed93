"""manage.py rebuild_index makes indexes anew."""

from __future__ import annotations

import fcntl
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from config.service import service_settings
from gallery.people import Sample
from recognition.worker import Worker
from tenants.models import Tenant
from tests.enrolling import enroll
from tests.gallery.faces import face, search


def rebuild(*arguments: str) -> str:
    told = StringIO()
    call_command("rebuild_index", *arguments, stdout=told)
    return told.getvalue()


@pytest.fixture
def tenants(worker: Worker, transactional_db: None) -> list[Tenant]:
    made = [Tenant.objects.create(name=name) for name in ("acme", "globex")]
    for number, tenant in enumerate(made):
        for n in range(number + 1):
            sample = Sample(face(10 * number + n), 1.0)
            enroll(tenant, f"p{n}", [sample], worker.deciding.gallery, worker.deciding.rules)
    return made


def test_all_tenants_or_one_get_new_indexes_and_workers_use_them(tenants: list[Tenant], worker: Worker) -> None:
    assert rebuild() == "acme: 1 templates\nglobex: 2 templates\n"
    assert rebuild("--tenant", "globex", "--store", "usearch") == "globex: 2 templates\n"
    assert [found.subject_id for found in search(worker.deciding.gallery, tenants[1], face(11), 1)] == ["p1"]


def test_an_unknown_tenant_is_told(tenants: list[Tenant]) -> None:
    with pytest.raises(CommandError, match="there is no tenant 'nobody'"):
        rebuild("--tenant", "nobody")


def test_two_at_once_are_told_of_each_other(tenants: list[Tenant], worker: Worker) -> None:
    rebuild()
    directory = service_settings().data_dir / "index" / str(tenants[0].pk) / worker.deciding.gallery.model_id
    with (directory / "renewal.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CommandError, match="another process makes the index anew just now: acme"):
            rebuild()

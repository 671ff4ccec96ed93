"""Rows of tenants are reached through their tenant alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, Prefetch, Q
from django.db.transaction import TransactionManagementError

from database import rows
from database.owned import OwnedManager, TenantOwned, TenantRequired
from gallery.models import Subject, Template
from jobs.models import DeadLetter, Job, Schedule, SchedulerSeat
from recognition.models import Decision, KnownDevice, Session
from tenants.models import ApiKey, Tenant
from tests.tenants.support import two_tenants

SOURCE = Path(__file__).parents[2] / "face_recognition_app"
OF_NO_TENANT = {Tenant, DeadLetter, Schedule, SchedulerSeat}
ALSO_OF_THE_OPERATOR = {Job}
"""Their rows may have no tenant; those rows are the operator's."""
ACROSS_TENANTS = {
    "audit/pruning.py": 1,
    "database/rows.py": 1,
    "gallery/changes.py": 1,
    "gallery/pictures.py": 1,
    "gallery/protection/reprotection.py": 1,
    "gallery/protection/tenant_secrets.py": 3,
    "recognition/background/imports/work.py": 1,
    "recognition/background/parts.py": 1,
    "recognition/background/reports/files.py": 2,
    "recognition/retention/rules.py": 10,
    "recognition/sessions/lifecycle.py": 3,
    "tenants/keys.py": 1,
    "tenants/usage.py": 2,
    "webhooks/deliveries.py": 1,
    "webhooks/job_endings.py": 1,
}
"""Housekeeping, and the two secrets that say themselves whose they are: an API key and a session's token."""

UNBOUND: dict[str, Callable[[Any], object]] = {
    "all": lambda rows: list(rows.all()),
    "by primary key": lambda rows: rows.get(pk=1),
    "first": lambda rows: rows.first(),
    "count": lambda rows: rows.count(),
    "exists": lambda rows: rows.exists(),
    "aggregate": lambda rows: rows.aggregate(newest=Max("pk")),
    "iterator": lambda rows: list(rows.iterator()),
    "values": lambda rows: list(rows.values("pk")),
    "in_bulk": lambda rows: rows.in_bulk([1]),
    "update": lambda rows: rows.update(display_name=""),
    "update of some": lambda rows: rows.filter(subject_id="alice").update(display_name=""),
    "delete": lambda rows: rows.all().delete(),
    "delete of some": lambda rows: rows.filter(subject_id="alice").delete(),
    "lock": lambda rows: list(rows.select_for_update().filter(pk=1)),
    "one tenant or more": lambda rows: list(rows.filter(Q(tenant=1) | Q(subject_id="alice"))),
    "any but one tenant": lambda rows: list(rows.exclude(tenant=1)),
    "several tenants": lambda rows: list(rows.filter(tenant__in=[1, 2])),
    "every row's own tenant": lambda rows: list(rows.filter(tenant=F("tenant"))),
    "no tenant": lambda rows: list(rows.filter(tenant=None)),
    "by the tenant's name": lambda rows: list(rows.filter(tenant__name="acme")),
    "inside another query": lambda rows: list(Tenant.objects.filter(Exists(rows.filter(tenant=OuterRef("pk"))))),
    "as a list in another query": lambda rows: list(Tenant.objects.filter(pk__in=rows.values("tenant"))),
}


def test_every_model_but_the_tenant_belongs_to_one() -> None:
    ours = {
        model
        for model in apps.get_models()
        if SOURCE in Path(str(apps.get_app_config(model._meta.app_label).path)).parents
    }
    assert {Subject, Template, Session, Decision, ApiKey} <= ours
    for model in ours - OF_NO_TENANT:
        assert issubclass(model, TenantOwned), f"{model.__name__} needs a tenant: derive it from TenantOwned"
        assert isinstance(model._default_manager, OwnedManager), model
        assert not isinstance(model._base_manager, OwnedManager), model
        sure = [field for field in model._meta.fields if not field.null or model in ALSO_OF_THE_OPERATOR]
        assert any(_owns(field.related_model) for field in sure), model


def _owns(model: Any) -> bool:
    return isinstance(model, type) and (model is Tenant or issubclass(model, TenantOwned))


def works_for_all(path: Path) -> bool:
    """Whether it works with jobs of whichever tenant, which were found or claimed before. What a tenant may see of jobs
    is found in jobs/access.py alone."""
    return path.relative_to(SOURCE).parts[0] == "jobs" and path.name != "access.py"


def test_queries_across_tenants_are_few_and_known() -> None:
    uses = Counter(
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if path.name != "owned.py" and not works_for_all(path)
        for _ in re.finditer(r"\.across_tenants\b|\._base_manager\b|\bfind_by_secret\(", path.read_text())
    )
    assert uses == ACROSS_TENANTS | {"recognition/retention/batches.py": 1}


@pytest.mark.parametrize("name", UNBOUND)
def test_a_query_without_a_tenant_raises(each_database: str, name: str) -> None:
    two_tenants()
    with pytest.raises(TenantRequired, match=r"Subject\.objects needs a condition on the tenant"):
        UNBOUND[name](Subject.objects)
    assert Subject.across_tenants.filter(display_name="Alice").count() == 2


@pytest.mark.parametrize("way", [rows.find, rows.lock])
def test_a_row_is_found_by_its_tenant(each_database: str, way: Callable[..., Subject | None]) -> None:
    acme, _ = two_tenants()
    with transaction.atomic():
        assert way(Subject, tenant_id=acme.pk, subject_id="alice") == Subject.objects.get(tenant=acme)
        assert way(Subject, tenant_id=acme.pk, subject_id="bob") is None
        with pytest.raises(TenantRequired, match="Subject is found by its tenant"):
            way(Subject, subject_id="alice")


def test_a_row_is_locked_in_a_transaction_only(each_database: str) -> None:
    acme, _ = two_tenants()
    with pytest.raises(TransactionManagementError):
        rows.lock(Tenant, id=acme.pk)


def test_a_query_with_a_tenant_gives_its_rows(each_database: str) -> None:
    acme, _ = two_tenants()
    mine = Subject.objects.filter(tenant=acme)
    assert [row.tenant_id for row in mine] == [acme.pk]
    assert mine.filter(Q(subject_id="alice") | Q(subject_id="bob")).get() == Subject.objects.get(tenant_id=acme.pk)
    assert (mine.count(), mine.exists(), mine.first()) == (1, True, mine.get())
    assert list(Subject.objects.none()) == []
    assert mine.update(display_name="A") == 1
    assert Template.objects.filter(subject__tenant=acme, subject__subject_id="alice").count() == 1
    assert mine.delete()[0] == 2
    assert Subject.across_tenants.count() == Template.across_tenants.count() == 1


def test_a_row_in_hand_leads_to_its_own(each_database: str) -> None:
    acme, globex = two_tenants()
    alice = Subject.objects.get(tenant=acme)
    assert alice.templates.count() == acme.subjects.count() == 1
    assert Template.objects.get(subject=alice).tenant == acme
    (fetched,) = Subject.objects.filter(tenant=acme).prefetch_related("templates")
    assert [row.tenant for row in fetched.templates.all()] == [acme]
    (fetched,) = Subject.objects.filter(tenant=acme).prefetch_related(Prefetch("templates", to_attr="found"))
    assert len(fetched.found) == 1
    alice.refresh_from_db()
    alice.save()
    KnownDevice.objects.update_or_create(subject=alice, device="phone", defaults={"used_at": alice.created_at})
    acme.delete()  # Every table of the tenant, by Django's own queries.
    assert list(Template.across_tenants.values_list("tenant", flat=True)) == [globex.pk]


def test_a_row_of_another_tenant_is_not_there(each_database: str) -> None:
    acme, globex = two_tenants()
    theirs = Subject.objects.get(tenant=globex)
    for found in (
        Subject.objects.filter(tenant=acme, pk=theirs.pk),
        Template.objects.filter(tenant=acme, subject=theirs),
    ):
        assert not found.exists()
        assert found.delete()[0] == 0
    assert theirs.templates.count() == 1

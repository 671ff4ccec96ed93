from __future__ import annotations

from datetime import timedelta

import pytest
from django.apps import apps

from database import clock
from tenants import keys
from tenants.keys import create_tenant
from tenants.models import ApiKey, Tenant
from tenants.names import InvalidTenantName, TenantExists
from tenants.scopes import Scope
from tests.clocks import STEPS_S, step
from tests.tenants.support import tenant_of

pytestmark = pytest.mark.usefixtures("transactional_db")
HOUR = timedelta(hours=1)


def everything_stored() -> str:
    return repr([list(model._base_manager.values()) for model in apps.get_models()])


def test_a_key_opens_its_own_tenant() -> None:
    acme, key = create_tenant("acme")
    globex, other_key = create_tenant("globex")
    assert tenant_of(key) == acme
    assert tenant_of(other_key) == globex


def test_a_key_is_long_random_and_recognisable() -> None:
    _, key = create_tenant("acme")
    _, other_key = create_tenant("globex")
    assert key.startswith("fk_")
    assert len(key) >= 46
    assert len(set(zip(key[3:], other_key[3:], strict=True))) > 20


def test_the_database_does_not_know_the_key() -> None:
    _, key = create_tenant("acme")
    stored = everything_stored()
    assert "acme" in stored
    assert key not in stored
    assert key.removeprefix("fk_") not in stored


def test_what_the_database_knows_opens_nothing() -> None:
    create_tenant("acme")
    assert tenant_of(ApiKey.across_tenants.get().key_hash) is None


@pytest.mark.parametrize("wrong", ["", "fk_", "fk_wrong", "demo"])
def test_a_wrong_key_opens_nothing(wrong: str) -> None:
    _, key = create_tenant("acme")
    assert tenant_of(wrong) is None
    assert tenant_of(key + "x") is None
    assert tenant_of(key.upper()) is None


@pytest.mark.parametrize("name", ["a", "0", "acme-2", "a" * 63])
def test_a_tenant_may_be_called(name: str) -> None:
    assert create_tenant(name)[0].name == name


@pytest.mark.parametrize("name", ["", "-a", "Acme", "a b", "a_b", "a/b", "ä", "a\n", "a" * 64])
def test_an_invalid_name_makes_no_tenant(name: str) -> None:
    with pytest.raises(InvalidTenantName):
        create_tenant(name)
    assert not Tenant.objects.exists()


def test_a_tenant_without_a_key_is_never_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise OSError("no entropy")

    with monkeypatch.context() as broken:
        broken.setattr(keys, "issue_key", fail)
        with pytest.raises(OSError, match="no entropy"):
            create_tenant("acme")
    tenant, key = create_tenant("acme")
    assert tenant_of(key) == tenant


def test_a_name_is_taken_once_and_its_tenant_gets_no_second_key() -> None:
    create_tenant("acme")
    with pytest.raises(TenantExists):
        create_tenant("acme")
    assert ApiKey.across_tenants.count() == 1


@pytest.mark.parametrize("seconds", STEPS_S)
@pytest.mark.usefixtures("each_database")
def test_a_key_lives_as_long_as_it_was_issued_for_when_the_machines_clock_is_set(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    tenant, _ = create_tenant("acme")
    now = clock.now()
    living = keys.issue_key(tenant, "", [Scope.READ], now + HOUR)
    ended = keys.issue_key(tenant, "", [Scope.READ], now + HOUR)
    ApiKey.across_tenants.filter(pk=ended.row.pk).update(expires_at=now)
    step(monkeypatch, seconds)
    assert keys.find_living_key(living.text) is not None
    assert keys.find_living_key(ended.text) is None
    with pytest.raises(keys.InvalidKey, match="in the past"):
        keys.issue_key(tenant, "", [Scope.READ], now)
    successor = keys.rotate_key(tenant, living.row.public_id, HOUR).row
    assert successor.expires_at is not None
    assert abs(successor.expires_at - successor.created_at - HOUR) < HOUR / 2

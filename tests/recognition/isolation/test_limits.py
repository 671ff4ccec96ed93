"""What one tenant has used up is not missing from another."""

from __future__ import annotations

import pytest
from django.db import transaction
from prometheus_client import REGISTRY

from core.liveness.policy import Policy
from recognition.models import AttemptKind, FailedAttempts
from recognition.sessions import lifecycle, lockout, seen_frames
from recognition.sessions.lockout import LockoutKey
from recognition.worker import Worker
from tenants.keys import create_tenant
from tenants.models import Tenant
from tests.recognition.support import ANYONE, asked

OF_KIND = {
    AttemptKind.SUBJECT: ("alice", "phone", ""),
    AttemptKind.UNNAMED: ("alice", "", ""),
    AttemptKind.DEVICE: ("alice", "phone", ""),
    AttemptKind.ADDRESS: ("alice", "", "a" * 64),
    AttemptKind.TENANT: ("", "", ""),
}
"""Subject, device and address of a claim that raises the counter."""


@pytest.fixture
def tenants(each_database: str) -> tuple[Tenant, Tenant]:
    return create_tenant("acme")[0], create_tenant("rival")[0]


def test_every_counter_has_a_case() -> None:
    assert OF_KIND.keys() == set(AttemptKind)


@pytest.mark.parametrize("kind", AttemptKind)
def test_a_lock_of_one_tenant_holds_nobody_of_another_back(
    worker: Worker, tenants: tuple[Tenant, Tenant], kind: AttemptKind
) -> None:
    acme, rival = (LockoutKey(tenant, *OF_KIND[kind]) for tenant in tenants)
    untouched = lockout.attempts_left(worker.settings, acme)
    limit = lockout.rule_of(worker.settings, kind).limit
    for _ in range(int(limit)):
        with transaction.atomic():
            lockout.count_failure(worker.settings, rival, 1.0)
    assert FailedAttempts.objects.filter(tenant=tenants[1], kind=kind).exists()
    assert FailedAttempts.objects.filter(tenant=tenants[1]).exclude(locked_until=None, waits_until=None).exists()
    lockout.ensure_free(acme)
    assert lockout.locked_until(acme) is None
    assert lockout.attempts_left(worker.settings, acme) == untouched
    assert not FailedAttempts.objects.filter(tenant=tenants[0]).exists()


def test_one_idempotency_key_makes_a_session_of_each(worker: Worker, tenants: tuple[Tenant, Tenant]) -> None:
    requests = (ANYONE, asked("identification", device_id="phone"))
    made = [
        lifecycle.create(worker.deciding, tenant, request, "order-7").session
        for tenant, request in zip(tenants, requests, strict=True)
    ]
    assert made[0].pk != made[1].pk
    for tenant, request, session in zip(tenants, requests, made, strict=True):
        assert lifecycle.create(worker.deciding, tenant, request, "order-7").session == session
        assert session.tenant == tenant


def test_a_frame_that_another_tenant_was_sent_is_new(tenants: tuple[Tenant, Tenant]) -> None:
    digests = ["0123456789abcdef"]
    assert not seen_frames.remember(tenants[0], Policy.ACTIVE, digests)
    assert not seen_frames.remember(tenants[1], Policy.ACTIVE, digests)
    assert seen_frames.remember(tenants[0], Policy.ACTIVE, digests)


def test_metrics_name_no_tenant_and_nothing_that_belongs_to_one() -> None:
    labels = {name for metric in REGISTRY.collect() for sample in metric.samples for name in sample.labels}
    declared = {name for metric in REGISTRY._collector_to_names for name in getattr(metric, "_labelnames", ())}
    assert {"kind", "outcome", "reason"} <= declared
    assert not {name for name in labels | declared if "tenant" in name or "subject" in name or "session" in name}

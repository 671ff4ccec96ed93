"""People who were not recognised for as long as the policy says are erased by retention, and nobody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.management import call_command

from audit.models import AuditEntry
from core.types import Embedding
from gallery.models import Subject, Template
from gallery.people import create_subject
from recognition.retention import erasure, unseen
from recognition.retention.rules import enforce_in_turn
from recognition.worker import Worker
from tenants.liveness_policy import policy_of, set_policy
from tests.recognition.failing import Clock, succeed
from tests.recognition.support import Backend

DAYS = 30


@pytest.fixture
def forgetful(alice: Backend) -> Backend:
    set_policy(alice.tenant, replace(policy_of(alice.tenant), unseen_days=DAYS))
    return alice


def age(days: float, subject_id: str = "alice") -> None:
    """Let the person and the templates be so many days old."""
    templates = Template.across_tenants.filter(subject__subject_id=subject_id)
    for rows in (Subject.across_tenants.filter(subject_id=subject_id), templates):
        for row in rows:
            type(row).across_tenants.filter(pk=row.pk).update(created_at=row.created_at - timedelta(days=days))


def kept(backend: Backend) -> list[str]:
    return list(Subject.objects.filter(tenant=backend.tenant).values_list("subject_id", flat=True))


def test_who_was_not_seen_for_so_long_is_erased_and_that_is_recorded(
    forgetful: Backend, rival: Backend, worker: Worker
) -> None:
    create_subject(rival.tenant, "alice", {})
    age(DAYS - 1)
    enforce_in_turn(worker.deciding)
    assert kept(forgetful) == ["alice"]
    age(2)
    enforce_in_turn(worker.deciding)
    assert (kept(forgetful), kept(rival)) == ([], ["alice"])
    entry = AuditEntry.across_tenants.get(kind="subject_erased")
    assert (entry.details["why"], entry.details["templates"], entry.actor_kind) == ("unseen", 1, "service")


def test_a_success_or_a_new_template_puts_it_off(
    forgetful: Backend, worker: Worker, astronaut_embedding: Embedding
) -> None:
    age(DAYS + 1)
    succeed(worker, forgetful, astronaut_embedding)
    enforce_in_turn(worker.deciding)
    assert kept(forgetful) == ["alice"]
    Subject.across_tenants.update(seen_at=None)
    Template.across_tenants.update(created_at=Subject.across_tenants.get().created_at + timedelta(days=DAYS))
    enforce_in_turn(worker.deciding)
    assert kept(forgetful) == ["alice"]


def test_who_succeeds_between_the_look_and_the_locks_stays(
    forgetful: Backend, worker: Worker, astronaut_embedding: Embedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    age(DAYS + 1)
    erase = erasure.erase_if_unseen
    done: list[bool] = []

    def late(*args: object) -> bool:
        succeed(worker, forgetful, astronaut_embedding)
        done.append(erase(*args))  # type: ignore[arg-type]
        return done[-1]

    monkeypatch.setattr(unseen, "erase_if_unseen", late)
    enforce_in_turn(worker.deciding)
    assert (done, kept(forgetful)) == ([False], ["alice"])


def test_without_the_policy_nobody_is_erased(alice: Backend, worker: Worker) -> None:
    age(9_999)
    call_command("retention")
    assert kept(alice) == ["alice"]


def test_deletions_of_retention_are_recorded_with_their_tenant(
    alice: Backend, rival: Backend, worker: Worker, astronaut_embedding: Embedding, clock: Clock
) -> None:
    succeed(worker, alice, astronaut_embedding, device_id="phone")
    clock.advance(timedelta(days=400).total_seconds())
    while enforce_in_turn(worker.deciding):
        pass
    recorded = AuditEntry.across_tenants.filter(kind="retention").order_by("pk")
    rows = [(entry.tenant_id, entry.details["what"], entry.details["rows"]) for entry in recorded]
    told = [row for row in rows if row[1] != "audit"]
    assert told == [(alice.tenant.pk, "sessions", 1), (alice.tenant.pk, "known_devices", 1)]

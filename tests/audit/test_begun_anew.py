"""A broken chain can be begun anew, which is recorded, and what was broken before is said for ever."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit import actor as actors
from audit import sealing
from audit.models import AuditEntry, AuditHead
from audit.pruning import prune
from audit.verification import verify
from database import clock
from tenants.keys import create_tenant
from tenants.liveness_policy import policy_of, set_policy
from tenants.models import Tenant
from tests.audit.tampering import (
    TAMPERED_AT,
    TAMPERING,
    cut_off_and_go_on,
    delete_one,
    fault_of,
    many,
    remove_everything,
    sql,
)
from vocabulary.audit import ActorKind

OPERATOR = actors.Actor(ActorKind.COMMAND, "verify_audit", "olga")


def told(*arguments: str) -> list[dict[str, Any]]:
    """What the command prints. Raises SystemExit where it ends with 1."""
    out = StringIO()
    call_command("verify_audit", *arguments, "--json", stdout=out, stderr=StringIO())
    found: list[dict[str, Any]] = json.loads(out.getvalue())
    return found


def begin_anew(*arguments: str) -> dict[str, Any]:
    with actors.acting(OPERATOR):
        (verdict,) = told("--tenant", "acme", "--begin-anew", *arguments)
    return verdict


@pytest.mark.parametrize("tamper", TAMPERING, ids=lambda tamper: tamper.__name__)
def test_whatever_broke_it_the_chain_goes_on_and_nothing_is_hidden(
    acme: Tenant, tamper: Callable[[Tenant], None]
) -> None:
    tamper(acme)
    fault, before = fault_of(acme), list(AuditEntry.objects.filter(tenant=acme).order_by("pk").values())
    verdict = begin_anew()
    assert (verdict["fault"], verdict["entries"]) == ("", 1)
    assert list(AuditEntry.objects.filter(tenant=acme).order_by("pk").values())[:-1] == before, "old entries are kept"
    began = AuditEntry.objects.filter(tenant=acme).latest("pk")
    assert (began.kind, began.actor_name, began.actor_reference) == ("audit_begun_anew", "olga", "verify_audit")
    assert (began.details["fault"], began.details["kept"]) == (fault, len(before))
    many(acme, 3)
    out = StringIO()
    call_command("verify_audit", "--tenant", "acme", stdout=out)
    assert "4 entries are whole" in out.getvalue()
    for word in (fault, "olga began it anew at", f"broken before entry {began.sequence}"):
        assert word in out.getvalue()


def test_the_new_chain_is_proven_like_any_other(acme: Tenant) -> None:
    delete_one(acme)
    begin_anew()
    many(acme, 3)
    begun = AuditHead.objects.get(tenant=acme).begun
    sql("UPDATE audit_auditentry SET actor_name = 'nobody' WHERE tenant_id = %s AND sequence = %s", acme.pk, begun)
    assert fault_of(acme).startswith(f"entry {begun}, audit_begun_anew")


@pytest.mark.parametrize("begun", [0, 1, 14])
def test_that_it_was_begun_anew_cannot_be_taken_back(acme: Tenant, begun: int) -> None:
    delete_one(acme)
    begin_anew()
    many(acme, 3)
    AuditHead.objects.filter(tenant=acme).update(begun=begun)
    assert fault_of(acme)


def test_only_a_broken_chain_of_one_tenant_is_begun_anew(acme: Tenant) -> None:
    for arguments, complaint in (
        (["--begin-anew"], "--begin-anew is of one tenant"),
        (["--begin-anew", "--tenant", "acme"], "the chain of acme is whole"),
    ):
        with pytest.raises(CommandError, match=complaint):
            call_command("verify_audit", *arguments)
    assert AuditEntry.objects.filter(tenant=acme).count() == 12


def test_an_old_copy_that_was_put_back_is_begun_anew_with_what_was_expected(acme: Tenant) -> None:
    head = AuditHead.objects.filter(tenant=acme).values().get()
    many(acme, 1)
    later = verify(acme.pk)
    sql("DELETE FROM audit_auditentry WHERE sequence > 12")
    AuditHead.objects.filter(tenant=acme).update(**head)
    verdict = begin_anew("--expect", f"{later.sequence}:{later.hash}")
    assert "entry 13 is not the one that was noted" in verdict["past"]
    assert fault_of(acme) == ""


def test_it_can_break_again_and_both_are_told(acme: Tenant) -> None:
    delete_one(acme)
    begin_anew()
    many(acme)
    sql("DELETE FROM audit_auditentry WHERE tenant_id = %s AND sequence = 15", acme.pk)
    assert "entry 15 is missing" in begin_anew()["past"]
    began = AuditEntry.objects.filter(tenant=acme, kind="audit_begun_anew").order_by("sequence")
    assert [entry.details["begun_before"] for entry in began] == [0, 1]
    assert fault_of(acme) == ""


def test_a_tenant_whose_head_was_removed_can_be_served_again(acme: Tenant) -> None:
    remove_everything(acme)
    begin_anew()
    set_policy(acme, replace(policy_of(acme), covered_faces=True))
    assert (verify(acme.pk).entries, fault_of(acme)) == (2, "")


def test_after_the_key_was_lost_one_goes_on_with_another(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_key", lambda data_dir: b"another")
    assert "made with another key" in begin_anew()["past"]
    many(acme, 1)
    assert fault_of(acme) == ""


def test_an_entry_with_the_last_number_is_named(acme: Tenant) -> None:
    last = 2**63 - 1
    sql("UPDATE audit_auditentry SET sequence = %s WHERE tenant_id = %s AND sequence = 12", last, acme.pk)
    with pytest.raises(CommandError, match=f"entry {last} has a number behind which none follows: delete its row"):
        call_command("verify_audit", "--tenant", "acme", "--begin-anew")
    sql("DELETE FROM audit_auditentry WHERE sequence = %s", last)
    assert begin_anew()["fault"] == ""


def test_other_tenants_chains_are_left_alone(acme: Tenant) -> None:
    rival, _ = create_tenant("rival")
    delete_one(acme)
    begin_anew()
    assert (fault_of(rival), verify(rival.pk).past) == ("", "")


def test_retention_deletes_what_is_old_and_the_broken_past_is_still_told(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off_and_go_on(acme)
    begin_anew()
    begun = AuditHead.objects.get(tenant=acme).begun
    later = clock.now() + timedelta(days=400)
    assert prune(clock.now()) == 0
    monkeypatch.setattr(clock, "now", lambda: later)
    many(acme, 1)
    assert prune(later) == TAMPERED_AT + 10 + 1
    assert (verify(acme.pk).entries, fault_of(acme)) == (2, "")
    assert (
        verify(acme.pk).past
        == f"the chain was broken before entry {begun}; the entry that says why was pruned or changed"
    )


def backdate(tenant: Tenant, until: int) -> None:
    sql("UPDATE audit_auditentry SET at = %s WHERE tenant_id = %s AND sequence <= %s", "2020-01-01", tenant.pk, until)


@pytest.mark.parametrize("until", [1, TAMPERED_AT, 12])
def test_retention_launders_no_entry_that_was_made_to_look_old(acme: Tenant, until: int) -> None:
    backdate(acme, until)
    assert prune(clock.now()) == 0
    assert fault_of(acme).startswith("entry 1, ")
    assert AuditEntry.objects.filter(tenant=acme).count() == 12


def test_retention_launders_no_old_entry_that_was_changed(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    sql("UPDATE audit_auditentry SET actor_name = 'nobody' WHERE tenant_id = %s AND sequence = 5", acme.pk)
    later = clock.now() + timedelta(days=400)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert prune(later) == 0
    assert fault_of(acme).startswith("entry 5, ")

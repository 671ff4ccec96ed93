"""A chain is whole as long as nobody touches it, and every way of touching it is told, on both databases."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from audit import actor as actors
from audit import sealing
from audit.chain import NoChain
from audit.models import AuditEntry, AuditHead
from audit.pruning import prune
from audit.verification import verify
from database import clock
from tenants.keys import create_tenant
from tenants.liveness_policy import policy_of, set_policy
from tenants.models import Tenant
from testkit.service import REPOSITORY
from tests.audit.tampering import (
    TAMPERED_AT,
    TAMPERING,
    cut_off_and_go_on,
    cut_off_and_move_the_head,
    fault_of,
    many,
    remove_everything,
    sql,
)

COLUMNS = {
    "at": "2020-01-01 00:00:00+00:00",
    "kind": "compared",
    "reference": "0" * 32,
    "actor_kind": "visitor",
    "actor_reference": "x",
    "actor_name": "somebody else",
    "request_id": "x",
    "details": '{"index": 99}',
    "hash": "0" * 64,
}


@pytest.mark.parametrize("column", COLUMNS)
def test_a_changed_column_is_told(acme: Tenant, column: str) -> None:
    sql(f"UPDATE audit_auditentry SET {column} = %s WHERE sequence = %s", COLUMNS[column], TAMPERED_AT)
    assert fault_of(acme).startswith(f"entry {TAMPERED_AT}, ")


def test_every_column_is_tried() -> None:
    columns = {field.column for field in AuditEntry._meta.fields}
    assert columns - set(COLUMNS) == {"id", "tenant_id", "sequence"}


@pytest.mark.parametrize("tamper", TAMPERING, ids=lambda tamper: tamper.__name__)
def test_tampering_is_told_and_exits_with_1(acme: Tenant, tamper: Callable[[Tenant], None]) -> None:
    tamper(acme)
    out = StringIO()
    with pytest.raises(SystemExit) as left:
        call_command("verify_audit", "--tenant", "acme", "--json", stdout=out)
    assert left.value.code == 1
    (told,) = json.loads(out.getvalue())
    assert told["fault"].startswith(TAMPERING[tamper])
    assert fault_of(acme).startswith(TAMPERING[tamper])


def test_a_chain_that_was_cut_stays_broken_however_long_it_goes_on(acme: Tenant) -> None:
    cut_off_and_go_on(acme)
    assert verify(acme.pk).entries == TAMPERED_AT + 10
    many(acme, 3)
    assert "the head of the chain was changed" in fault_of(acme)


def test_without_a_head_nothing_is_recorded_and_so_nothing_is_done(acme: Tenant) -> None:
    remove_everything(acme)
    masked = replace(policy_of(acme), covered_faces=True)
    with pytest.raises(NoChain):
        set_policy(acme, masked)
    acme.refresh_from_db()
    assert not acme.covered_faces


def test_who_has_another_key_can_neither_verify_nor_go_on(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(sealing, "_key", lambda data_dir: b"another")
        assert "made with another key" in fault_of(acme)
        many(acme, 1)
    assert fault_of(acme).startswith("entry 13, ")


def test_the_command_names_the_end_and_an_end_that_was_noted_must_still_be_there(acme: Tenant) -> None:
    out = StringIO()
    call_command("verify_audit", stdout=out)
    noted = out.getvalue().split()[-1]
    assert out.getvalue() == f"acme: 12 entries are whole, up to {noted}\n"
    call_command("verify_audit", "--tenant", "acme", "--expect", noted, stdout=StringIO())
    before = AuditHead.objects.filter(tenant=acme).values().get()
    many(acme, 1)
    later = verify(acme.pk)
    sql("DELETE FROM audit_auditentry WHERE sequence > 12")
    AuditHead.objects.filter(tenant=acme).update(**before)  # An old copy of the head, rightly signed.
    assert fault_of(acme) == ""
    with pytest.raises(SystemExit):
        call_command(
            "verify_audit", "--tenant", "acme", "--expect", f"{later.sequence}:{later.hash}", stdout=StringIO()
        )


def test_a_pruned_chain_verifies_and_its_beginning_cannot_be_cut_further(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now()
    later = now.replace(year=now.year + 1)
    assert prune(now) == 0
    monkeypatch.setattr(clock, "now", lambda: later)
    many(acme, 3)
    assert prune(later) == 12
    head = AuditHead.objects.get(tenant=acme)
    assert (head.anchor_sequence, head.sequence) == (12, 16)
    assert (verify(acme.pk).entries, fault_of(acme)) == (4, "")
    assert AuditEntry.across_tenants.latest("sequence").details == {"what": "audit", "rows": 12}
    sql("DELETE FROM audit_auditentry WHERE sequence = 13")
    assert fault_of(acme).startswith("entry 13 is missing")


def test_a_chain_that_was_tampered_with_is_not_pruned(acme: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_off_and_move_the_head(acme)
    now = clock.now()
    assert prune(now.replace(year=now.year + 1)) == 0
    assert AuditEntry.across_tenants.count() == TAMPERED_AT


def test_writers_side_by_side_extend_one_chain_each(acme: Tenant) -> None:
    rival, _ = create_tenant("rival")

    def write(tenant: Tenant) -> None:
        try:
            with actors.acting(actors.client_of(tenant.name)):
                many(tenant)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(write, [acme, rival] * 3))
    assert [verify(acme.pk).entries, verify(rival.pk).entries] == [42, 32]
    assert [fault_of(acme), fault_of(rival)] == ["", ""]


def test_what_is_undone_is_not_recorded(acme: Tenant) -> None:
    with transaction.atomic():
        many(acme, 1)
        transaction.set_rollback(True)
    assert (verify(acme.pk).entries, fault_of(acme)) == (12, "")


KILLED = """
import os, signal, sys
from pathlib import Path
os.environ["DJANGO_SETTINGS_MODULE"] = "face_app.settings"
import django
django.setup()
from django.db import transaction
from audit.chain import Event, record
from tenants.liveness_policy import policy_of, set_policy
from tenants.models import Tenant
from vocabulary.audit import AuditKind
tenant = Tenant.objects.get(name="acme")
with transaction.atomic():
    record(tenant.pk, Event(AuditKind.COMPARED))
    print("written", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_between_write_and_commit_leaves_the_chain_whole(tmp_path: Path) -> None:
    environment = {**os.environ, "FACE_DATA_DIR": str(tmp_path), "PYTHONPATH": "face_recognition_app"}
    environment.pop("DJANGO_SETTINGS_MODULE", None)

    def manage(*arguments: str) -> str:
        command = [sys.executable, "face_recognition_app/manage.py", *arguments]
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    manage("prepare")
    manage("create_tenant", "acme", "--json")
    before = json.loads(manage("verify_audit", "--tenant", "acme", "--json"))
    for _ in range(3):
        killed = subprocess.run(
            [sys.executable, "-c", KILLED], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
        )
        assert (killed.stdout, killed.returncode) == ("written\n", -signal.SIGKILL), killed.stderr
    assert json.loads(manage("verify_audit", "--tenant", "acme", "--json")) == before
    manage("keys", "issue", "--tenant", "acme")
    (after,) = json.loads(manage("verify_audit", "--tenant", "acme", "--json"))
    assert (after["entries"], after["fault"]) == (before[0]["entries"] + 1, "")

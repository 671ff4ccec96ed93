"""Reads that come together are committed together, each by its own actor, and none returns before its commit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

from audit import actor as actors
from audit import reads as module
from audit.chain import Event, NoChain
from audit.models import AuditEntry, AuditHead
from audit.reads import ReadLine
from audit.verification import verify
from tenants.keys import create_tenant
from tenants.models import Tenant
from vocabulary.audit import AuditKind

PATIENCE_S = 60
READERS = 6


def is_recorded(reader: str) -> bool:
    return AuditEntry.across_tenants.filter(actor_reference=reader).exists()


def read(line: ReadLine, tenant: Tenant, reader: str) -> bool:
    """Record one read; whether it is in the database when that returns."""
    try:
        with actors.acting(actors.client_of(reader)):
            line.record(tenant.pk, Event(AuditKind.SUBJECT_READ))
        return is_recorded(reader)
    finally:
        connection.close()


class HeldUp:
    """Holds up the first write until all other readers stand in line; counts the writes."""

    def __init__(self, line: ReadLine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[int] = []
        self._line = line
        self._write = module._write
        self._first = threading.Event()
        monkeypatch.setattr(module, "_write", self)

    def __call__(self, batch: list[module._Waiting]) -> None:
        self.batches.append(len(batch))
        if len(self.batches) == 1:
            waiting = threading.Event()
            for _ in range(PATIENCE_S * 100):
                if len(self._line._waiting) == READERS - 1:
                    break
                waiting.wait(0.01)
        self._write(batch)


def test_those_that_wait_are_committed_in_one_transaction_as_themselves(
    each_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, rival = create_tenant("acme")[0], create_tenant("rival")[0]
    line = ReadLine()
    held_up = HeldUp(line, monkeypatch)
    readers = [(tenant, f"reader-{index}") for index, tenant in enumerate([acme, rival] * (READERS // 2))]
    with ThreadPoolExecutor(READERS) as threads:
        seen = list(threads.map(lambda reader: read(line, *reader), readers))
    assert seen == [True] * READERS
    assert held_up.batches == [1, READERS - 1]
    assert [verify(tenant.pk).fault for tenant in (acme, rival)] == ["", ""]
    recorded = AuditEntry.across_tenants.filter(kind="subject_read").values_list("tenant_id", "actor_reference")
    assert sorted(recorded) == sorted((tenant.pk, reader) for tenant, reader in readers)


def test_who_cannot_be_recorded_fails_alone(each_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    acme, rival = create_tenant("acme")[0], create_tenant("rival")[0]
    AuditHead.objects.filter(tenant=rival).delete()
    line = ReadLine()
    HeldUp(line, monkeypatch)

    def guarded(reader: tuple[Tenant, str]) -> bool | Exception:
        try:
            return read(line, *reader)
        except NoChain as error:
            return error

    readers = [(acme if index else rival, f"reader-{index}") for index in range(READERS)]
    with ThreadPoolExecutor(READERS) as threads:
        told = list(threads.map(guarded, readers))
    assert isinstance(told[0], NoChain)
    assert told[1:] == [True] * (READERS - 1)
    assert AuditEntry.across_tenants.filter(kind="subject_read").count() == READERS - 1


def test_a_read_within_a_transaction_is_part_of_it(each_database: str) -> None:
    acme, _ = create_tenant("acme")
    with transaction.atomic():
        read_line = ReadLine()
        with actors.acting(actors.client_of("me")):
            read_line.record(acme.pk, Event(AuditKind.SUBJECT_READ))
        transaction.set_rollback(True)
    assert not is_recorded("me")

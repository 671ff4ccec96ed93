"""How an index of files follows the database, for all threads and processes that need it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import transaction

from core.types import Embeddings
from database.calls import with_connection
from gallery import changes
from gallery.changes import Point
from gallery.matching import Gallery
from gallery.people import delete_subject
from gallery.protection import Protected
from gallery.protection.sealed import SealedProtection
from gallery.stores.base import Candidate
from gallery.stores.makers import MAKERS
from tenants.models import Tenant
from tests.gallery.faces import enrol, face, search, secrets_of
from tests.gallery.stores.places import of_files_everywhere


def ids(found: list[Candidate]) -> list[str]:
    return [candidate.subject_id for candidate in found]


def test_nothing_erased_stays_in_the_memory_of_a_worker_where_nobody_searches(
    tenant: Tenant, other_tenant: Tenant, gallery: Gallery, other_worker: Gallery
) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrol(other_tenant, "eve", face(2), gallery=gallery)
    for each in (tenant, other_tenant):
        other_worker.store.refresh(each)
    delete_subject(tenant, "alice")
    other_tenant.delete()
    assert other_worker.store.statistics().templates == 2
    other_worker.store.catch_up()
    found = other_worker.store.statistics()
    assert (found.galleries, found.templates) == (1, 0)


@of_files_everywhere
def test_a_search_that_waits_for_the_database_holds_up_no_other_of_its_tenant(
    tenant: Tenant, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    gallery.store.refresh(tenant)
    asking, go_on = threading.Event(), threading.Event()
    since = changes.since

    def slow_for_the_first(of: Tenant, point: Point) -> tuple[Point, changes.Changes | None]:
        if not asking.is_set():
            asking.set()
            assert go_on.wait(30)
        return since(of, point)

    monkeypatch.setattr(changes, "since", slow_for_the_first)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(with_connection, search, gallery, tenant, face(1), 1)
        try:
            assert asking.wait(30)
            other = threads.submit(with_connection, search, gallery, tenant, face(1), 1)
            assert ids(other.result(30)) == ["alice"]
            assert not first.done()
        finally:
            go_on.set()
        assert ids(first.result(30)) == ["alice"]


@of_files_everywhere
def test_a_gallery_is_read_once_for_all_who_need_it_and_a_transaction_does_not_wait_for_that(
    tenant: Tenant, gallery: Gallery, tmp_path: Path, store_name: str
) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    reading, go_on = threading.Event(), threading.Event()
    reads: list[int] = []

    class SlowAtFirst(SealedProtection):
        def restore_turned(self, stored: Sequence[Protected], of: Tenant, epoch: int) -> Embeddings:
            reads.append(len(stored))
            if not reading.is_set():
                reading.set()
                assert go_on.wait(30)
            return super().restore_turned(stored, of, epoch)

    store = MAKERS[store_name](
        gallery.model_id, SlowAtFirst(gallery.model_id, secrets_of(gallery)), tmp_path / "another index"
    )

    def found() -> list[str]:
        return ids(list(store.search(tenant, [face(1)], 1).candidates))

    def found_in_a_transaction() -> list[str]:
        with transaction.atomic():
            return found()

    with ThreadPoolExecutor(4) as threads:
        try:
            waiting = [threads.submit(with_connection, found)]
            assert reading.wait(30)
            beside = threads.submit(with_connection, found_in_a_transaction)
            assert beside.result(30) == ["alice"]
            waiting += [threads.submit(with_connection, found) for _ in range(2)]
            assert not waiting[0].done()
        finally:
            go_on.set()
        assert [one.result(30) for one in waiting] == [["alice"]] * 3
    assert reads == [1, 1], "one reads for all, and the transaction for itself"

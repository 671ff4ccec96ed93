"""Whatever is changed in whatever order, by whomever: searches find the truth."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import transaction

from database.calls import with_connection
from gallery.matching import Gallery
from gallery.models import Subject, Template
from gallery.people import delete_subject
from gallery.stores import index
from gallery.stores.pgvector import graphs
from tenants.models import Tenant
from tests.gallery.faces import RULES, enrol, face, picture, search
from tests.gallery.stores.places import everywhere, use_signs_in_small_galleries
from tests.gallery.stores.truths import assert_finds_the_truth
from tests.gallery.stores.walks import PEOPLE, Walk
from tests.gallery.workers import MODEL, gallery_of

TENANTS = 1_000
OF_EACH = 3
ENOUGH_S = 60.0


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few dozen changes lead to graphs, searches by signs, full files and tombstones to be cleared away."""
    monkeypatch.setattr(index, "LEAST_ROOM", 6)
    use_signs_in_small_galleries(monkeypatch)
    monkeypatch.setattr(graphs, "INDEXED_FROM", 8)


@everywhere
@pytest.mark.parametrize("seed", [1, 2])
def test_workers_find_the_truth_while_indexes_are_made_anew(
    tenant: Tenant, tmp_path: Path, store_name: str, seed: int
) -> None:
    """Two of the workers are of one machine, and one of another, with a data directory of its own."""
    workers = [gallery_of(tmp_path / machine, store_name) for machine in ("one", "one", "another")]
    walk, choose = Walk(tenant, seed), random.Random(seed)
    for step in range(60):
        probe = walk.change(workers)
        if step % 9 == 8:
            assert choose.choice(workers).store.rebuild(tenant, lambda done, total: None)
        assert_finds_the_truth(choose.choice(workers), tenant, probe, limit=choose.choice([1, 3, PEOPLE]))


@everywhere
def test_searches_in_a_transaction_find_its_own_truth(tenant: Tenant, tmp_path: Path, store_name: str) -> None:
    workers = [gallery_of(tmp_path, store_name) for _ in range(2)]
    walk = Walk(tenant, 3)
    for step in range(40):
        with transaction.atomic():
            for _ in range(3):
                assert_finds_the_truth(workers[step % 2], tenant, walk.change(workers), limit=PEOPLE)
            transaction.set_rollback(step % 3 == 0)
        assert_finds_the_truth(workers[1 - step % 2], tenant, face(step % PEOPLE), limit=PEOPLE)


@everywhere
def test_writers_read_their_writes_beside_rivals(tenant: Tenant, tmp_path: Path, store_name: str) -> None:
    """Each of four threads enrols, finds, erases and no longer finds its own person, through two workers."""
    workers = [gallery_of(tmp_path, store_name) for _ in range(2)]

    def enrol_find_erase(number: int) -> list[str]:
        stale = []
        for turn in range(6):
            name, mine = f"p{number}-{turn}", face(100 * number + turn)
            enrol(tenant, name, mine, gallery=workers[turn % 2])
            if search(workers[1 - turn % 2], tenant, mine, 1)[0].subject_id != name:
                stale.append(f"{name} is not found")
            delete_subject(tenant, name)
            if name in {found.subject_id for found in search(workers[turn % 2], tenant, mine, 5)}:
                stale.append(f"{name} is still found")
        return stale

    over = threading.Event()

    def make_anew() -> None:
        while not over.is_set():
            workers[0].store.rebuild(tenant, lambda done, total: None)

    with ThreadPoolExecutor(5) as threads:
        renewing = threads.submit(with_connection, make_anew)
        try:
            found = list(threads.map(lambda number: with_connection(enrol_find_erase, number), range(4)))
        finally:
            over.set()
        renewing.result(ENOUGH_S)
    assert found == [[]] * 4


def test_each_of_a_thousand_tenants_in_one_store_finds_its_own_people(
    transactional_db: None, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far more than may be mapped at once. Every tenant has enrolled the same faces under names of its own."""
    monkeypatch.undo()
    tenants = Tenant.objects.bulk_create(Tenant(name=f"tenant-{n}") for n in range(TENANTS))
    people = [face(n) for n in range(OF_EACH)]
    subjects = Subject.objects.bulk_create(
        Subject(tenant=tenant, subject_id=f"{tenant.name}-{n}") for tenant in tenants for n in range(OF_EACH)
    )
    Template.objects.bulk_create(
        Template(
            tenant_id=subject.tenant_id,
            subject=subject,
            model_id=MODEL,
            vector=gallery.protection.protect([people[number % OF_EACH]], subject.tenant)[0],
            quality=1.0,
        )
        for number, subject in enumerate(subjects)
    )
    for number, tenant in enumerate([*tenants, *tenants[::20]]):
        n = number % OF_EACH
        found = gallery.identify(tenant, picture(people[n], 0.6, number), RULES.target_fpir, limit=OF_EACH)
        assert [one.subject_id for one in found.matches] == [f"{tenant.name}-{n}"]
    assert gallery.store.statistics().galleries < TENANTS

"""Whatever is changed in whatever order, by whomever, and whoever is killed meanwhile: searches find the truth."""

from __future__ import annotations

import multiprocessing
import random
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection, transaction

from core.types import Embedding
from database.calls import with_connection
from gallery.matching import Gallery
from gallery.models import Subject, Template
from gallery.people import delete_subject
from gallery.stores import index, usearch
from gallery.stores.exact import ExactStore
from tenants.models import Tenant
from tests.gallery.faces import RULES, enrol, face, picture, search, size
from tests.gallery.stores.truths import assert_finds_the_truth
from tests.gallery.workers import MODEL, gallery_of

PEOPLE = 12
TENANTS = 1_000
OF_EACH = 3
KILLS = 20
LONGEST_LIFE_S = 0.15
ENOUGH_S = 60.0
each_database = pytest.mark.usefixtures("each_database")


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few dozen changes lead to graphs, full files and tombstones to be cleared away."""
    monkeypatch.setattr(index, "LEAST_ROOM", 6)
    monkeypatch.setattr(usearch, "LEAST_ROWS", 8)


class Walk:
    """Random changes of a dozen people, each made through one of the workers."""

    def __init__(self, tenant: Tenant, seed: int) -> None:
        self._tenant = tenant
        self._choose = random.Random(seed)
        self._step = 1_000 * seed

    def change(self, workers: list[Gallery]) -> Embedding:
        """Change something; returns a probe of somebody whom it may have been."""
        self._step += 1
        number = self._choose.randrange(PEOPLE)
        name = f"p{number}"
        exists = Subject.across_tenants.filter(tenant=self._tenant, subject_id=name).exists()
        if exists and self._choose.random() < 0.45:
            delete_subject(self._tenant, name)
        else:
            enrol(self._tenant, name, picture(face(number), 0.8, self._step), gallery=self._choose.choice(workers))
        return picture(face(number), 0.6, self._step)


@each_database
@pytest.mark.parametrize("seed", [1, 2])
def test_workers_find_the_truth_while_indexes_are_made_anew(
    tenant: Tenant, tmp_path: Path, store_name: str, seed: int
) -> None:
    workers = [gallery_of(tmp_path, store_name) for _ in range(3)]
    walk, choose = Walk(tenant, seed), random.Random(seed)
    for step in range(60):
        probe = walk.change(workers)
        if step % 9 == 8:
            assert choose.choice(workers).store.rebuild(tenant, lambda done, total: None)
        assert_finds_the_truth(choose.choice(workers), tenant, probe, limit=choose.choice([1, 3, PEOPLE]))


@each_database
def test_searches_in_a_transaction_find_its_own_truth(tenant: Tenant, tmp_path: Path, store_name: str) -> None:
    workers = [gallery_of(tmp_path, store_name) for _ in range(2)]
    walk = Walk(tenant, 3)
    for step in range(40):
        with transaction.atomic():
            for _ in range(3):
                assert_finds_the_truth(workers[step % 2], tenant, walk.change(workers), limit=PEOPLE)
            transaction.set_rollback(step % 3 == 0)
        assert_finds_the_truth(workers[1 - step % 2], tenant, face(step % PEOPLE), limit=PEOPLE)


@each_database
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
            vector=gallery.protection.protect(people[number % OF_EACH], subject.tenant),
            quality=1.0,
        )
        for number, subject in enumerate(subjects)
    )
    for number, tenant in enumerate([*tenants, *tenants[::20]]):
        n = number % OF_EACH
        found = gallery.identify(tenant, picture(people[n], 0.6, number), RULES.target_fpir, limit=OF_EACH)
        assert [one.subject_id for one in found.matches] == [f"{tenant.name}-{n}"]
    assert gallery.store.statistics().galleries < TENANTS


def search_and_write(worker: Gallery, tenant: Tenant) -> None:
    while True:
        size(worker, tenant)


def make_anew(worker: Gallery, tenant: Tenant) -> None:
    while True:
        worker.store.rebuild(tenant, lambda done, total: None)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("work", [search_and_write, make_anew])
@pytest.mark.parametrize("seed", [1])
def test_a_process_that_is_killed_at_any_moment_leaves_the_truth(
    tenant: Tenant, tmp_path: Path, store_name: str, work: Callable[[Gallery, Tenant], None], seed: int
) -> None:
    """Killed while it appends, removes, compacts and builds; what it has begun is finished or made anew by the next."""
    walk, choose = Walk(tenant, seed), random.Random(seed)
    plain = gallery_of(tmp_path / "elsewhere", "exact")
    for _ in range(KILLS):
        connection.close()
        victim = multiprocessing.get_context("fork").Process(
            target=with_connection, args=(work, gallery_of(tmp_path, store_name), tenant), daemon=True
        )
        victim.start()
        dies_at = time.monotonic() + choose.random() * LONGEST_LIFE_S
        while time.monotonic() < dies_at:
            walk.change([plain])
        assert victim.is_alive()
        victim.kill()
        victim.join(ENOUGH_S)
        assert victim.exitcode == -signal.SIGKILL
        fresh = gallery_of(tmp_path, store_name)
        for number in range(PEOPLE):
            assert_finds_the_truth(fresh, tenant, picture(face(number), 0.6), limit=PEOPLE)
        assert isinstance(fresh.store, ExactStore)
        fresh.store.catch_up()
        fresh.store.wait_for_renewals()
        assert not any(path.suffix in (".new", ".renewed") for path in (tmp_path / "index").rglob("*"))

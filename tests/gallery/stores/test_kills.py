"""Whoever is killed at any moment: nothing is lost, nothing is half done, and searches find the truth."""

from __future__ import annotations

import multiprocessing
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from database.calls import with_connection
from gallery.matching import Gallery
from gallery.models import Subject, TemplateKey
from gallery.protection import reprotection
from gallery.stores import index, row_file, source
from gallery.stores.pgvector import graphs, projections
from gallery.stores.pgvector.store import PgvectorStore
from tenants.models import Tenant
from testkit.patience import PATIENCE_S
from tests.gallery.faces import enrol, face, picture, search, size
from tests.gallery.stores.places import everywhere, of_files, use_signs_in_small_galleries
from tests.gallery.stores.truths import assert_finds_the_truth
from tests.gallery.stores.walks import PEOPLE, Walk
from tests.gallery.workers import MODEL, gallery_of

KILLS = 20
LONGEST_LIFE_S = 0.15
SAMPLES = 3
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few dozen changes lead to graphs, searches by signs, full files and tombstones, all in many small steps."""
    monkeypatch.setattr(index, "LEAST_ROOM", 6)
    use_signs_in_small_galleries(monkeypatch)
    monkeypatch.setattr(graphs, "INDEXED_FROM", 8)
    for module in (source, projections):
        monkeypatch.setattr(module, "PAGE", 4)


@contextmanager
def victim(work: Callable[..., None], *arguments: object) -> Iterator[None]:
    """Another process that does this work, until the block ends and it is killed."""
    connection.close()
    process = multiprocessing.get_context("fork").Process(target=with_connection, args=(work, *arguments), daemon=True)
    process.start()
    yield
    assert process.is_alive()
    process.kill()
    process.join(PATIENCE_S)
    assert process.exitcode == -signal.SIGKILL


def assert_nothing_is_left_behind(gallery: Gallery, tenant: Tenant, data_dir: Path) -> None:
    """One round of housekeeping tidies up."""
    gallery.store.catch_up()
    gallery.store.wait_for_renewals()
    assert not any(path.suffix in (".new", ".renewed") for path in (data_dir / "index").rglob("*"))
    if isinstance(gallery.store, PgvectorStore):
        (only,) = gallery.store._projections.of(tenant)
        assert only.is_complete
        with connection.cursor() as cursor:
            cursor.execute("SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid")
            assert cursor.fetchall() == []


def search_and_write(worker: Gallery, tenant: Tenant) -> None:
    while True:
        size(worker, tenant)


def make_anew(worker: Gallery, tenant: Tenant) -> None:
    while True:
        worker.store.rebuild(tenant, lambda done, total: None)


def keep_house(worker: Gallery, tenant: Tenant) -> None:
    while True:
        worker.store.catch_up()
        worker.store.wait_for_renewals()


@pytest.mark.parametrize("work", [search_and_write, make_anew, keep_house])
def test_a_process_that_is_killed_at_any_moment_leaves_the_truth(
    tenant: Tenant, tmp_path: Path, store_name: str, work: Callable[[Gallery, Tenant], None]
) -> None:
    """Killed while it appends, removes, compacts and builds; what it has begun is finished or made anew by the next."""
    walk, choose = Walk(tenant, 1), random.Random(1)
    another_machine = gallery_of(tmp_path / "elsewhere", store_name)
    running = gallery_of(tmp_path, store_name)
    for _ in range(KILLS):
        with victim(work, gallery_of(tmp_path, store_name), tenant):
            dies_at = time.monotonic() + choose.random() * LONGEST_LIFE_S
            while time.monotonic() < dies_at:
                walk.change([another_machine])
        fresh = gallery_of(tmp_path, store_name)
        for number in range(PEOPLE):
            assert_finds_the_truth(choose.choice([fresh, running]), tenant, picture(face(number), 0.6), limit=PEOPLE)
        assert_nothing_is_left_behind(fresh, tenant, tmp_path)


@of_files
def test_a_compaction_that_is_killed_at_any_moment_leaves_the_truth(
    tenant: Tenant, tmp_path: Path, store_name: str
) -> None:
    """Each time most rows are tombstones, and the process is killed while it writes the file without them."""
    running, choose = gallery_of(tmp_path, store_name), random.Random(2)
    rows = tmp_path / "index" / str(tenant.pk) / MODEL / "rows"
    compacting, cut_off = rows.with_name("rows.renewed"), 0
    for turn in range(KILLS):
        for number in range(PEOPLE if turn else 0, 3 * PEOPLE):
            enrol(tenant, f"p{number}", face(number), gallery=running)
        Subject.objects.filter(tenant=tenant).exclude(subject_id__in=[f"p{n}" for n in range(PEOPLE)]).delete()
        size(running, tenant)
        assert row_file.summary(rows)[1].removed > PEOPLE
        with victim(keep_house, gallery_of(tmp_path, store_name), tenant):
            give_up = time.monotonic() + PATIENCE_S
            while not compacting.exists() and row_file.summary(rows)[1].removed and time.monotonic() < give_up:
                pass
            if turn % 2:  # In all others at once: a busy machine may let the whole of it pass in that time.
                time.sleep(choose.random() * 0.02)
        cut_off += compacting.exists()
        fresh = gallery_of(tmp_path, store_name)
        for number in range(0, 3 * PEOPLE, 5):
            assert_finds_the_truth(choose.choice([fresh, running]), tenant, picture(face(number), 0.6), limit=PEOPLE)
        assert_nothing_is_left_behind(fresh, tenant, tmp_path)
        assert row_file.summary(rows)[1].removed == 0, "the next compaction does it"
    assert cut_off > 0, "none was killed in the middle"


def enrol_for_ever(worker: Gallery, tenant: Tenant, first: int, answers: Connection) -> None:
    for number in count(first):
        person = face(number)
        enrol(tenant, f"p{number}", *(picture(person, 0.9, k) for k in range(SAMPLES)), gallery=worker)
        answers.send(number)


@everywhere
def test_an_enrolment_that_is_killed_at_any_moment_is_whole_or_not_at_all(
    tenant: Tenant, tmp_path: Path, store_name: str
) -> None:
    """And whatever was answered is there, in every worker."""
    running, choose, answered = gallery_of(tmp_path, store_name), random.Random(3), list[int]()
    for turn in range(KILLS):
        receiving, sending = multiprocessing.Pipe(duplex=False)
        with victim(enrol_for_ever, gallery_of(tmp_path, store_name), tenant, 1_000 * turn, sending):
            time.sleep(choose.random() * LONGEST_LIFE_S)
        sending.close()
        try:
            while True:
                answered.append(receiving.recv())
        except EOFError:
            receiving.close()
        subjects = Subject.objects.filter(tenant=tenant)
        held = {one.subject_id: one.templates.count() for one in subjects}
        assert set(held.values()) <= {SAMPLES}, "one is half enrolled"
        assert {f"p{number}" for number in answered} <= set(held)
        for worker in (running, gallery_of(tmp_path, store_name)):
            assert size(worker, tenant) == SAMPLES * len(held)
            for number in answered[-5:]:
                assert search(worker, tenant, face(number), 1)[0].subject_id == f"p{number}"
    assert answered
    assert_nothing_is_left_behind(running, tenant, tmp_path)


def rotate_for_ever() -> None:
    while True:
        call_command("rotate_keys", stdout=StringIO())


@everywhere
def test_a_rotation_that_is_killed_at_any_moment_loses_nobody_and_no_search_misses_anybody(
    tenant: Tenant, tmp_path: Path, store_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`manage.py rotate_keys` in other processes, beside housekeeping that follows each new epoch."""
    monkeypatch.setattr(reprotection, "PAGE", 5)
    running, choose, cut_off = gallery_of(tmp_path, store_name), random.Random(5), 0
    for number in range(3 * PEOPLE):
        enrol(tenant, f"p{number}", face(number), gallery=running)

    def assert_anybody_is_found() -> None:
        number = choose.randrange(3 * PEOPLE)
        assert search(running, tenant, picture(face(number), 0.8), 1)[0].subject_id == f"p{number}"

    in_use = TemplateKey.objects.filter(tenant=tenant, retired_at__isnull=True)
    for _ in range(KILLS):
        with victim(rotate_for_ever):
            dies_at = time.monotonic() + choose.random() * 2 * LONGEST_LIFE_S
            while time.monotonic() < dies_at:
                assert_anybody_is_found()
        cut_off += in_use.count() > 1
        running.store.catch_up()
        assert_anybody_is_found()
    while not cut_off:  # A crowded machine may have let none begin.
        with victim(rotate_for_ever):
            while in_use.count() < 2:
                assert_anybody_is_found()
        cut_off += in_use.count() > 1
    call_command("rotate_keys", "--finish", stdout=StringIO())
    assert TemplateKey.objects.filter(tenant=tenant).count() == 1
    for worker in (running, gallery_of(tmp_path, store_name)):
        assert size(worker, tenant) == 3 * PEOPLE
        for number in range(3 * PEOPLE):
            assert search(worker, tenant, face(number), 1)[0].subject_id == f"p{number}"
    assert_nothing_is_left_behind(running, tenant, tmp_path)

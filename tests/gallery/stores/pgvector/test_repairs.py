"""What kills, operators and lost secrets leave in PostgreSQL is never answered from, and is put right."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import DatabaseError, connection, transaction

from database.calls import with_connection
from gallery.matching import Gallery
from gallery.models import Subject, TemplateOrigin
from gallery.people import store_templates
from gallery.protection.reprotection import finish, rotate
from gallery.stores.pgvector import graphs, projections
from gallery.stores.pgvector.projections import Projection
from gallery.stores.pgvector.store import PgvectorStore
from tenants.models import Tenant
from testkit.patience import PATIENCE_S
from tests.gallery.faces import enrol, face, picture, samples, search, secrets_of, size
from tests.gallery.stores.places import PGVECTOR
from tests.gallery.stores.truths import assert_finds_the_truth

PEOPLE = 12
KILLS = 5
pytestmark = pytest.mark.parametrize("place", [PGVECTOR], indirect=True, ids=str)


@pytest.fixture
def store(gallery: Gallery) -> PgvectorStore:
    assert isinstance(gallery.store, PgvectorStore)
    return gallery.store


@pytest.fixture
def crowd(tenant: Tenant, gallery: Gallery) -> None:
    for number in range(PEOPLE):
        enrol(tenant, f"p{number}", face(number), gallery=gallery)


def run(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def in_order(store: PgvectorStore, tenant: Tenant) -> Projection:
    """The only projection, after a round of housekeeping."""
    store.catch_up()
    store.wait_for_renewals()
    (only,) = store._projections.of(tenant)
    assert only.is_complete
    return only


CHANGES = {
    "vectors truncated": ["TRUNCATE gallery_vector"],
    "projections truncated": ["TRUNCATE gallery_projection CASCADE"],
    "vectors deleted": ["DELETE FROM gallery_vector WHERE template_id % 3 = 0"],
    "too many templates counted": ["UPDATE gallery_projection SET templates = templates + 2"],
    "too few vectors counted": ["UPDATE gallery_projection SET vectors = vectors - 2"],
    "deleted without triggers": [
        "SET session_replication_role = replica",
        "DELETE FROM gallery_vector WHERE template_id % 3 = 0",
        "UPDATE gallery_projection SET vectors = 0",
        "SET session_replication_role = DEFAULT",
    ],
}


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("change", CHANGES)
def test_a_projection_that_somebody_has_changed_is_completed(tenant: Tenant, gallery: Gallery, change: str) -> None:
    assert size(gallery, tenant) == PEOPLE
    run(*CHANGES[change])
    for number in range(PEOPLE):
        assert_finds_the_truth(gallery, tenant, picture(face(number), 0.6))
    enrol(tenant, "new", face(100), gallery=gallery)
    assert_finds_the_truth(gallery, tenant, face(100))
    assert size(gallery, tenant) == PEOPLE + 1


@pytest.mark.usefixtures("crowd")
def test_a_table_of_templates_that_was_emptied_has_nobody(tenant: Tenant, gallery: Gallery) -> None:
    run("TRUNCATE gallery_template CASCADE")
    assert (search(gallery, tenant, face(3), 1), size(gallery, tenant)) == ([], 0)


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("first", ["search", "enrolment", "housekeeping"])
def test_a_projection_whose_secret_was_deleted_is_replaced_at_once(
    tenant: Tenant, gallery: Gallery, store: PgvectorStore, first: str
) -> None:
    rotate(tenant, secrets_of(gallery), lambda *_: None)
    assert finish(tenant) == 1
    if first == "enrolment":
        enrol(tenant, "new", face(100), gallery=gallery)
    elif first == "housekeeping":
        in_order(store, tenant)
    for number in range(PEOPLE):
        assert_finds_the_truth(gallery, tenant, picture(face(number), 0.6))
    assert in_order(store, tenant).epoch == gallery.protection.epoch(tenant)


@pytest.mark.usefixtures("crowd")
def test_a_fill_whose_projection_is_deleted_meanwhile_ends(
    tenant: Tenant, store: PgvectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections, "PAGE", 5)
    held = store._projections
    fresh = held.begin(tenant, anew=True)

    def delete(done: int, total: int) -> None:
        held.delete(tenant, fresh)

    held.fill(tenant, fresh, delete)
    assert fresh.id not in [one.id for one in held.of(tenant)]


@pytest.mark.usefixtures("crowd")
def test_two_do_not_project_one_gallery_side_by_side(tenant: Tenant, gallery: Gallery, store: PgvectorStore) -> None:
    told: list[bool] = []

    def meanwhile(done: int, total: int) -> None:
        if not told:
            with ThreadPoolExecutor(1) as thread:
                told.append(thread.submit(with_connection, store.rebuild, tenant, lambda *_: None).result(PATIENCE_S))

    assert store.rebuild(tenant, meanwhile)
    assert told == [False]
    in_order(store, tenant)


@pytest.mark.usefixtures("crowd")
def test_a_graph_that_somebody_has_dropped_is_built_again(
    tenant: Tenant, gallery: Gallery, store: PgvectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "INDEXED_FROM", PEOPLE)
    before = in_order(store, tenant)
    assert graph_of(before) == [True]
    run(f"DROP INDEX gallery_vector_graph_{before.id}")
    assert_finds_the_truth(gallery, tenant, face(3))
    assert graph_of(in_order(store, tenant)) == [True]


def graph_of(projection: Projection) -> list[bool]:
    """Whether each graph of the projection is valid; empty without one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)",
            [f"gallery_vector_graph_{projection.id}"],
        )
        return [valid for (valid,) in cursor.fetchall()]


def keep_house(store: PgvectorStore) -> None:
    store.catch_up()
    store.wait_for_renewals()


def builder() -> int | None:
    """The database's process that builds a graph now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_progress_create_index")
        found = cursor.fetchone()
    return found[0] if found else None


def until(true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_S
    while time.monotonic() < give_up:
        try:
            if true():
                return
        except DatabaseError:  # It recovers from the kill.
            connection.close()
        time.sleep(0.01)
    raise AssertionError("it never came true")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("killed", ["worker", "worker and its process in the database"])
def test_a_graph_whose_building_is_killed_is_built_by_the_next_round(
    tenant: Tenant, gallery: Gallery, store: PgvectorStore, killed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `CREATE INDEX CONCURRENTLY` leaves is an invalid index, which nobody searches."""
    for number in range(PEOPLE):
        enrol(tenant, f"p{number}", face(number), gallery=gallery)
    fill_with_strangers(tenant, gallery, 800)
    monkeypatch.setattr(graphs, "INDEXED_FROM", 100)
    choose, invalid = random.Random(4), 0
    (projection,) = store._projections.of(tenant)
    for turn in range(KILLS):
        connection.close()
        process = multiprocessing.get_context("fork").Process(target=with_connection, args=(keep_house, store))
        process.start()
        until(lambda projection=projection: builder() is not None or graph_of(projection) == [True])  # type: ignore[misc]
        time.sleep(choose.random() * 0.2)
        backend = builder()
        process.kill()
        process.join(PATIENCE_S)
        if killed != "worker" and backend is not None:
            os.kill(backend, signal.SIGKILL)
            until(lambda: builder() is None)
            invalid += graph_of(projection) == [False]
        for number in range(0, PEOPLE, 3):
            assert search(gallery, tenant, picture(face(number), 0.6), 1)[0].subject_id == f"p{number}"
        until(lambda: builder() is None)
        keep_house(store)
        projection = in_order(store, tenant)
        assert projection.is_indexed
        assert graph_of(projection) == [True]
        assert search(gallery, tenant, picture(face(turn), 0.6), 1)[0].subject_id == f"p{turn}"
        graphs.drop(projection)
    assert killed == "worker" or invalid > 0, "none was killed in the middle"


def fill_with_strangers(tenant: Tenant, gallery: Gallery, number: int) -> None:
    with transaction.atomic():
        tenant.lock()
        stranger = Subject.objects.create(tenant=tenant, subject_id="strangers")
        faces = samples(*(face(10_000 + seed) for seed in range(number)))
        store_templates(tenant, stranger, faces, gallery, TemplateOrigin.ENROLLED)

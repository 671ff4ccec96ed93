"""What is special of the store in PostgreSQL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from core.types import Embedding
from gallery.matching import Gallery
from gallery.models import Subject, Template
from gallery.people import delete_subject
from gallery.protection.reprotection import rotate
from gallery.stores.pgvector import graphs, projections
from gallery.stores.pgvector import store as store_module
from gallery.stores.pgvector.store import PgvectorStore
from tenants.models import Tenant
from tests.gallery.faces import enrol, face, picture, search, secrets_of, size
from tests.gallery.stores.places import PGVECTOR
from tests.gallery.workers import MODEL
from wire.errors import Unavailable

REPOSITORY = Path(__file__).parents[4]
pytestmark = pytest.mark.parametrize("place", [PGVECTOR], indirect=True, ids=str)


@pytest.fixture
def store(gallery: Gallery) -> PgvectorStore:
    assert isinstance(gallery.store, PgvectorStore)
    return gallery.store


def told(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def put_in(tenant: Tenant, faces: Sequence[Embedding], prefix: str = "p") -> None:
    """Store templates as another store's enrolments do: no projection is told."""
    subjects = Subject.objects.bulk_create(
        Subject(tenant=tenant, subject_id=f"{prefix}{number}") for number in range(len(faces))
    )
    Template.objects.bulk_create(
        Template(tenant=tenant, subject=subject, model_id=MODEL, vector=one.tobytes(), quality=1.0)
        for subject, one in zip(subjects, faces, strict=True)
    )


def found(gallery: Gallery, tenant: Tenant, probe: Embedding) -> str:
    return search(gallery, tenant, probe, 1)[0].subject_id


def vectors() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM gallery_vector")
        return int(cursor.fetchone()[0])


def test_a_projection_that_takes_too_long_is_refused_and_gone_on_with(
    tenant: Tenant, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projections, "PAGE", 10)
    monkeypatch.setattr(store_module, "FIRST_USE_S", -1.0)
    put_in(tenant, [face(number) for number in range(25)])
    for projected in (10, 20):
        with pytest.raises(Unavailable):
            search(gallery, tenant, face(1), 1)
        assert vectors() == projected
    assert found(gallery, tenant, face(24)) == "p24"


def test_deletions_in_the_database_itself_are_followed(tenant: Tenant, gallery: Gallery) -> None:
    put_in(tenant, [face(number) for number in range(5)])
    assert size(gallery, tenant) == 5
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM gallery_template WHERE subject_id = (SELECT min(id) FROM gallery_subject)")
    assert (size(gallery, tenant), vectors()) == (4, 4)


def test_an_epoch_that_moved_on_is_followed_while_searches_and_enrolments_go_on(
    tenant: Tenant, gallery: Gallery
) -> None:
    assert isinstance(gallery.store, PgvectorStore)
    put_in(tenant, [face(number) for number in range(20)])
    assert found(gallery, tenant, face(3)) == "p3"
    rotate(tenant, secrets_of(gallery), lambda *_: None)
    epoch = gallery.protection.epoch(tenant)
    assert found(gallery, tenant, face(3)) == "p3", "it is still searched in the old epoch"
    gallery.store._projections.begin(tenant, anew=True)
    enrol(tenant, "between", face(50), gallery=gallery)
    assert [one.vectors for one in gallery.store._projections.of(tenant)] == [21, 1]
    assert found(gallery, tenant, face(50)) == "between"
    gallery.store.catch_up()
    gallery.store.wait_for_renewals()
    (only,) = gallery.store._projections.of(tenant)
    assert (only.epoch, only.vectors) == (epoch, 21)
    for probe, name in ((face(3), "p3"), (face(50), "between")):
        (best,) = search(gallery, tenant, probe, 1)
        assert best.subject_id == name
        assert best.similarity == pytest.approx(1.0, abs=1e-3)


def test_housekeeping_follows_an_epoch_that_moved_on(tenant: Tenant, gallery: Gallery, store: PgvectorStore) -> None:
    put_in(tenant, [face(number) for number in range(20)])
    assert found(gallery, tenant, face(3)) == "p3"
    rotate(tenant, secrets_of(gallery), lambda *_: None)
    epoch = gallery.protection.epoch(tenant)
    store.catch_up()
    store.wait_for_renewals()
    assert [(one.epoch, one.vectors) for one in store._projections.of(tenant)] == [(epoch, 20)]
    assert found(gallery, tenant, face(3)) == "p3"


def test_a_large_gallery_is_searched_through_its_graph(
    tenant: Tenant, gallery: Gallery, store: PgvectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the decision threshold nobody is missed, whoever is enrolled or erased after the graph was built."""
    monkeypatch.setattr(graphs, "INDEXED_FROM", 2_000)
    put_in(tenant, [face(number) for number in range(3_000)])
    store.rebuild(tenant, told)
    (only,) = store._projections.of(tenant)
    assert only.is_indexed
    hits = 0
    for number in range(1_000):
        (best,) = search(gallery, tenant, picture(face(number), 0.7, number), 1)
        hits += best.subject_id == f"p{number}"
    assert hits >= 999
    enrol(tenant, "new", face(5_000), gallery=gallery)
    assert found(gallery, tenant, face(5_000)) == "new"
    delete_subject(tenant, "new")
    assert found(gallery, tenant, face(5_000)) != "new"


def test_what_a_deleted_tenant_leaves_is_dropped(
    tenant: Tenant, store: PgvectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "INDEXED_FROM", 10)
    put_in(tenant, [face(number) for number in range(10)])
    store.rebuild(tenant, told)
    tenant.delete()
    store.catch_up()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'gallery_vector_graph_%'")
        assert (vectors(), cursor.fetchone()[0]) == (0, 0)


def test_a_gallery_that_has_grown_gets_its_graph_in_the_background(
    tenant: Tenant, gallery: Gallery, store: PgvectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in(tenant, [face(number) for number in range(10)])
    assert size(gallery, tenant) == 10
    monkeypatch.setattr(graphs, "INDEXED_FROM", 10)
    store.catch_up()
    store.wait_for_renewals()
    (only,) = store._projections.of(tenant)
    assert only.is_indexed
    assert found(gallery, tenant, face(3)) == "p3"


REBUILD = """
    import os, django
    django.setup()
    from config.service import service_settings
    from gallery.matching import make_gallery
    from gallery.stores.pgvector import projections
    from tenants.models import Tenant

    projections.PAGE = 10
    def kill(done, total):
        print(done, flush=True)
        if done >= int(os.environ["KILLED_AT"]):
            os.kill(os.getpid(), 9)
    make_gallery(service_settings(), os.environ["MODEL"]).store.rebuild(Tenant.objects.get(), kill)
"""


def test_a_rebuild_killed_at_any_page_leaves_right_answers_and_is_gone_on_with(
    tenant: Tenant, gallery: Gallery, store: PgvectorStore, postgresql_url: str
) -> None:
    put_in(tenant, [face(number) for number in range(40)])
    assert size(gallery, tenant) == 40
    for killed_at in (10, 30, 40):
        process = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(REBUILD)],
            env={
                **os.environ,
                "PYTHONPATH": str(REPOSITORY / "face_recognition_app"),
                "DJANGO_SETTINGS_MODULE": "face_app.settings",
                "DATABASE_URL": postgresql_url,
                "FACE_DATA_DIR": str(settings.FACE.data_dir),
                "FACE_GALLERY_STORE": "pgvector",
                "MODEL": MODEL,
                "KILLED_AT": str(killed_at),
            },
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert process.returncode == -signal.SIGKILL, process.stderr.decode()
        for number in range(0, 40, 7):
            assert found(gallery, tenant, face(number)) == f"p{number}"
    enrol(tenant, "new", face(100), gallery=gallery)
    store.rebuild(tenant, told)
    assert len(store._projections.of(tenant)) == 1
    assert (size(gallery, tenant), vectors()) == (41, 41)
    assert found(gallery, tenant, face(100)) == "new"

"""A gallery is moved to another embedder: everybody is found at every moment, and nothing is left of the one before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from audit.models import AuditEntry
from core.types import Embedding
from database.calls import with_connection
from gallery import feedback
from gallery.binding import OtherModel
from gallery.feedback import Source
from gallery.models import Feedback, Picture, Reembedded, Subject, Template, TemplateOrigin
from gallery.people import Sample, delete_subject, store_templates
from gallery.protection import reprotection
from gallery.protection.reprotection import rotate
from gallery.reembedding import beside, move, switching
from gallery.reembedding.beside import Plan, UnreadablePicture, plan
from gallery.reembedding.switching import Moved, NotMovable
from gallery.stores.pgvector.projections import Projections
from gallery.stores.pgvector.schema import prepare_database
from tenants.models import Tenant
from testkit.databases import using_postgresql
from tests.gallery.faces import secrets_of
from tests.gallery.reembedding.moving import FORMER, NEW, Service, embed_picture, embedded

PEOPLE = 10
each_database = pytest.mark.usefixtures("each_database")


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "PAGE", 3)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


@pytest.fixture
def crowd(tenant: Tenant, service: Service) -> Tenant:
    """A tenant that keeps pictures, with ten people of the former embedder."""
    return with_a_crowd(tenant, service)


def with_a_crowd(tenant: Tenant, service: Service) -> Tenant:
    Tenant.objects.filter(pk=tenant.pk).update(picture_days=30)
    store_first(tenant, service)
    for person in range(1, PEOPLE):
        service.enrol(tenant, person)
    return tenant


def store_first(tenant: Tenant, service: Service) -> None:
    """The first enrolment, which binds the gallery to the former embedder: there was no other then."""
    both, service.new = service.new, service.former
    service.enrol(tenant, 0)
    service.new = both


def rows(tenant: Tenant) -> list[tuple[Any, ...]]:
    columns = ("pk", "public_id", "subject", "quality", "origin", "created_at", "picture")
    return list(Template.objects.filter(tenant=tenant).order_by("pk").values_list(*columns))


def model_ids(tenant: Tenant) -> set[str]:
    return set(Template.objects.filter(tenant=tenant).values_list("model_id", flat=True))


def assert_everybody_is_found(service: Service, tenant: Tenant, number: int = PEOPLE) -> None:
    assert [person for person in range(number) if not service.finds(tenant, person)] == []


@each_database
def test_everybody_is_moved_and_keeps_ids_times_and_pictures(
    crowd: Tenant, other_tenant: Tenant, service: Service, tmp_path: Path
) -> None:
    store_first(other_tenant, service)
    assert plan(crowd, service.new) == Plan(crowd, service.former.model, PEOPLE, 0, 0, 0, 0)
    before, progress = rows(crowd), []
    moved = move(crowd, service.new, embed_picture, lambda *told: progress.append(told), erase_unmovable=False)
    assert moved == Moved("acme", NEW, PEOPLE, 0, 0, 0)
    assert progress == [(0, 10), (3, 10), (6, 10), (9, 10), (10, 10)]
    assert rows(crowd) == before
    assert (model_ids(crowd), model_ids(other_tenant)) == ({NEW}, {FORMER})
    assert not Reembedded.across_tenants.exists()
    for one in (service, Service(tmp_path)):
        assert_everybody_is_found(one, crowd)
        assert one.finds(other_tenant, 0)
    entry = AuditEntry.objects.filter(tenant=crowd).order_by("-sequence")[0]
    assert (entry.kind, entry.details) == ("gallery_moved", {"model": NEW, "templates": PEOPLE, "erased": 0})
    assert plan(crowd, service.new) is None
    service.new.store.catch_up()
    assert not (tmp_path / "index" / str(crowd.pk) / FORMER).exists(), "nothing is left of the former embedder"


@each_database
def test_people_are_enrolled_and_found_meanwhile(crowd: Tenant, service: Service) -> None:
    known = PEOPLE

    def enrol_and_find() -> None:
        service.enrol(crowd, known)
        assert_everybody_is_found(service, crowd, known + 1)

    with ThreadPoolExecutor(1) as threads:

        def on_page(*_: int) -> None:
            nonlocal known
            if known < PEOPLE + 8:
                threads.submit(with_connection, enrol_and_find).result(60)
                known += 1

        moved = move(crowd, service.new, embed_picture, on_page, erase_unmovable=False)
    assert moved.templates == known == PEOPLE + 8
    assert_everybody_is_found(service, crowd, known)
    assert model_ids(crowd) == {NEW}


@each_database
def test_a_switch_happens_as_a_whole_or_not_at_all(
    crowd: Tenant, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as broken:
        broken.setattr(switching, "record", fail)
        with pytest.raises(InterruptedError):
            service.move(crowd)
    assert (model_ids(crowd), Reembedded.objects.filter(tenant=crowd).count()) == ({FORMER}, PEOPLE)
    assert_everybody_is_found(service, crowd)
    with monkeypatch.context() as broken:
        broken.setattr(beside, "_embedded", fail)
        assert service.move(crowd).templates == PEOPLE, "what is there is not made again"
    assert_everybody_is_found(service, crowd)


@each_database
def test_an_enrolment_that_waits_for_the_switch_is_to_be_tried_again(crowd: Tenant, service: Service) -> None:
    beside.embed_beside(crowd, service.new, embed_picture, set(), lambda *_: None)
    with ThreadPoolExecutor(1) as threads:
        with transaction.atomic():
            crowd.lock()
            enrolment = threads.submit(with_connection, service.enrol, Tenant.objects.get(pk=crowd.pk), PEOPLE)
            time.sleep(0.2)
            assert switching.switch(crowd, service.new, set(), erase_unmovable=False) is not None
        with pytest.raises(OtherModel):
            enrolment.result(60)
    assert model_ids(crowd) == {NEW}
    service.enrol(crowd, PEOPLE)
    assert_everybody_is_found(service, crowd, PEOPLE + 1)


@each_database
def test_templates_without_a_picture_are_not_lost_unless_the_operator_says_so(crowd: Tenant, service: Service) -> None:
    Picture.objects.filter(tenant=crowd, template__subject__subject_id__in=["p3", "p4"]).delete()
    found = plan(crowd, service.new)
    assert found is not None
    assert (found.movable, found.unmovable, found.people) == (8, 2, 2)
    with pytest.raises(NotMovable, match=r"2 templates of 2 people of tenant acme have no picture .*--erase-unmovable"):
        service.move(crowd)
    assert_everybody_is_found(service, crowd)
    assert model_ids(crowd) == {FORMER}
    assert service.move(crowd, erase_unmovable=True) == Moved("acme", NEW, 8, 2, 0, 0)
    assert [person for person in range(PEOPLE) if not service.finds(crowd, person)] == [3, 4]
    assert Subject.objects.filter(tenant=crowd).count() == PEOPLE


@each_database
def test_a_picture_that_shows_nobody_to_the_new_embedder_cannot_be_moved(crowd: Tenant, service: Service) -> None:
    def embed(picture: bytes) -> Embedding | None:
        return None if picture == b"5" else embed_picture(picture)

    with pytest.raises(NotMovable, match="1 templates of 1 people"):
        move(crowd, service.new, embed, lambda *_: None, erase_unmovable=False)
    assert_everybody_is_found(service, crowd)
    moved = move(crowd, service.new, embed, lambda *_: None, erase_unmovable=True)
    assert (moved.templates, moved.erased) == (9, 1)
    assert Picture.objects.filter(tenant=crowd).count() == 9


def test_a_picture_that_cannot_be_read_is_named(crowd: Tenant, service: Service) -> None:
    broken = Template.objects.get(tenant=crowd, subject__subject_id="p5")
    Picture.objects.filter(template=broken).update(content=bytes(100))
    with pytest.raises(UnreadablePicture, match=f"the picture of template {broken.public_id} of tenant acme"):
        service.move(crowd)
    delete_subject(crowd, "p5")
    assert service.move(crowd).templates == 9


@each_database
def test_what_has_no_picture_by_its_kind_goes_with_the_former_embedder(crowd: Tenant, service: Service) -> None:
    alice = Subject.objects.get(tenant=crowd, subject_id="p1")
    former = service.former
    with transaction.atomic():
        crowd.lock()
        store_templates(crowd, alice, [Sample(embedded(1, FORMER), None)], former, TemplateOrigin.ADAPTIVE)
    feedback.reject(crowd, alice, embedded(99, FORMER), FORMER, former.protection, Source())
    found = plan(crowd, service.new)
    assert found is not None
    assert (found.adaptive, found.feedback) == (1, 1)
    assert service.move(crowd) == Moved("acme", NEW, PEOPLE, 0, 1, 1)
    assert not Feedback.across_tenants.exists()
    assert_everybody_is_found(service, crowd)


@each_database
def test_a_rotation_of_secrets_meanwhile_takes_along_what_lies_beside(crowd: Tenant, service: Service) -> None:
    beside.embed_beside(crowd, service.new, embed_picture, set(), lambda *_: None)
    assert rotate(crowd, secrets_of(service.former), lambda *_: None).templates == 3 * PEOPLE
    reprotection.finish(crowd)
    assert service.move(crowd).templates == PEOPLE
    assert_everybody_is_found(service, crowd)


@each_database
def test_who_is_erased_meanwhile_stays_erased(crowd: Tenant, service: Service) -> None:
    with ThreadPoolExecutor(1) as threads:

        def embed(picture: bytes) -> Embedding:
            if picture in (b"4", b"8"):
                threads.submit(with_connection, delete_subject, crowd, f"p{picture.decode()}").result(60)
            return embed_picture(picture)

        delete_after = ["p1"]

        def on_page(done: int, _: int) -> None:
            if done >= 6 and delete_after:
                threads.submit(with_connection, delete_subject, crowd, delete_after.pop()).result(60)

        moved = move(crowd, service.new, embed, on_page, erase_unmovable=False)
    assert moved.templates == PEOPLE - 3
    assert [person for person in range(PEOPLE) if not service.finds(crowd, person)] == [1, 4, 8]


def test_a_move_that_was_given_up_for_another_embedder_leaves_nothing(crowd: Tenant, service: Service) -> None:
    beside.embed_beside(
        crowd,
        service.former.__class__("model-c", service.new.protection, service.new.store),
        embed_picture,
        set(),
        lambda *_: None,
    )
    assert Reembedded.objects.filter(tenant=crowd, model_id="model-c").count() == PEOPLE
    assert service.move(crowd).templates == PEOPLE
    assert_everybody_is_found(service, crowd)


@pytest.fixture
def in_postgresql(transactional_db: None, postgresql_url: str) -> Iterator[Tenant]:
    """A tenant of a service whose store is pgvector, and which nobody has searched yet."""
    with using_postgresql(postgresql_url):
        prepare_database()
        yield Tenant.objects.create(name="acme")
        with connection.cursor() as cursor:  # Django empties its own tables only, and none that another refers to.
            cursor.execute("DROP TABLE gallery_vector, gallery_projection")
            cursor.execute("DROP FUNCTION gallery_count_templates, gallery_count_moved, gallery_count_vectors CASCADE")


@pytest.mark.parametrize("seen_before", [False, True])
def test_a_gallery_in_postgresql_is_searched_at_once(
    in_postgresql: Tenant, tmp_path: Path, seen_before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a search by the new embedder has begun a projection while nobody was enrolled."""
    service, tenant = Service(tmp_path, "pgvector"), in_postgresql
    if seen_before:
        service.new.identify(tenant, embedded(0, NEW), 1e-3)
    with_a_crowd(tenant, service)
    assert_everybody_is_found(service, tenant)
    service.move(tenant)
    with monkeypatch.context() as without:
        without.setattr(Projections, "fill", None)  # Nothing is left to be projected.
        assert_everybody_is_found(service, tenant)
    service.enrol(tenant, PEOPLE)
    delete_subject(tenant, "p0")
    assert [person for person in range(PEOPLE + 1) if not service.finds(tenant, person)] == [0]


def test_a_store_in_postgresql_notices_a_move_that_it_was_not_told_of(in_postgresql: Tenant, tmp_path: Path) -> None:
    service, tenant = Service(tmp_path, "pgvector"), in_postgresql
    service.new.identify(tenant, embedded(0, NEW), 1e-3)
    with_a_crowd(tenant, service)
    Service(tmp_path, "exact").move(tenant)
    assert_everybody_is_found(service, tenant)

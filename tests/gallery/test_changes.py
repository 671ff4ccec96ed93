"""The log has every added and removed template, whatever deleted it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction
from pytest_django import DjangoAssertNumQueries

import database.clock
from gallery import changes, people
from gallery.changes import Changes, Point
from gallery.matching import Gallery
from gallery.models import Subject, Template, TemplateChange
from tenants.models import Tenant
from tests.clocks import STEPS_S, step
from tests.gallery.faces import enrol, face, picture

ALIKE = 0.8
each_database = pytest.mark.usefixtures("each_database")


def log_of(tenant: Tenant) -> list[tuple[int, int, bool]]:
    rows = TemplateChange.objects.filter(tenant=tenant).order_by("revision")
    return list(rows.values_list("revision", "template_pk", "added"))


def templates_of(subject_id: str) -> list[int]:
    return list(
        Template.across_tenants.filter(subject__subject_id=subject_id).order_by("pk").values_list("pk", flat=True)
    )


def point_at(tenant: Tenant, revision: int) -> Point:
    _, logged = changes._read(tenant, revision)
    return Point(revision, logged[0].mark if logged and logged[0].revision == revision else 0)


def since(tenant: Tenant, revision: int) -> tuple[int, Changes | None]:
    reached, changed = changes.since(tenant, point_at(tenant, revision))
    return reached.revision, changed


def test_every_template_has_a_revision_of_its_own(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), picture(face(1), ALIKE), gallery=gallery)
    first, second = templates_of("alice")
    enrol(tenant, "bob", face(2), gallery=gallery)
    (third,) = templates_of("bob")
    people.delete_template(tenant, "alice", Template.across_tenants.get(pk=second).public_id)
    assert log_of(tenant) == [(1, first, True), (2, second, True), (3, third, True), (4, second, False)]
    assert changes.revision_of(tenant) == 4


@pytest.mark.parametrize(
    "delete",
    [
        lambda tenant: people.delete_subject(tenant, "alice"),
        lambda tenant: Subject.across_tenants.get(subject_id="alice").delete(),
        lambda tenant: Subject.across_tenants.filter(tenant=tenant, subject_id="alice").delete(),
        lambda tenant: Template.across_tenants.filter(subject__subject_id="alice").delete(),
    ],
    ids=["erased", "the subject's row", "a query of subjects", "a query of templates"],
)
def test_whatever_deletes_templates_is_in_the_log(
    tenant: Tenant, gallery: Gallery, delete: Callable[[Tenant], object]
) -> None:
    enrol(tenant, "alice", face(1), picture(face(1), ALIKE), gallery=gallery)
    enrol(tenant, "bob", face(2), gallery=gallery)
    gone = templates_of("alice")
    delete(tenant)
    revision, changed = since(tenant, 3)
    assert revision == changes.revision_of(tenant)
    assert changed is not None
    assert (sorted(changed.removed), changed.added) == (gone, [])


def test_a_tenant_goes_with_its_log(tenant: Tenant, other_tenant: Tenant, gallery: Gallery) -> None:
    for each in (tenant, other_tenant):
        enrol(each, "alice", face(1), gallery=gallery)
    tenant.delete()
    assert set(TemplateChange.across_tenants.values_list("tenant__name", flat=True)) == {"globex"}


def test_what_came_and_went_again_is_only_gone(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    (gone,) = templates_of("alice")
    people.delete_subject(tenant, "alice")
    enrol(tenant, "bob", face(2), gallery=gallery)
    assert since(tenant, 0) == (3, Changes(templates_of("bob"), [gone]))


def test_a_change_that_is_rolled_back_is_not_in_the_log(tenant: Tenant, gallery: Gallery) -> None:
    with transaction.atomic():
        enrol(tenant, "alice", face(1), gallery=gallery)
        transaction.set_rollback(True)
    assert (log_of(tenant), changes.revision_of(tenant)) == ([], 0)


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_log_that_has_lost_a_change_tells_nothing(tenant: Tenant, gallery: Gallery, lost: int) -> None:
    enrol(tenant, "alice", face(1), picture(face(1), ALIKE), picture(face(1), ALIKE, 1), gallery=gallery)
    TemplateChange.across_tenants.filter(revision=lost).delete()
    assert since(tenant, 0) == (3, None)
    assert since(tenant, lost)[1] is not None


def test_the_history_of_another_database_is_told_from_this_one(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    point = changes.latest(tenant)
    assert changes.since(tenant, point) == (point, changes.NOTHING)
    enrol(tenant, "bob", face(2), gallery=gallery)
    (bob,) = templates_of("bob")
    assert changes.since(tenant, point)[1] == Changes([bob], [])
    elsewhere = Point(point.revision, point.mark + 1)
    assert changes.since(tenant, elsewhere) == (changes.latest(tenant), None)


def test_a_revision_of_the_future_tells_nothing(tenant: Tenant) -> None:
    assert since(tenant, 7) == (0, None)


@each_database
def test_who_is_up_to_date_learns_that_with_one_query(
    tenant: Tenant, other_tenant: Tenant, gallery: Gallery, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for each in (tenant, other_tenant):
        enrol(each, "alice", face(1), gallery=gallery)
    (template,) = Template.objects.filter(tenant=tenant).values_list("pk", flat=True)
    point = point_at(tenant, 1)
    with django_assert_num_queries(1):
        assert changes.since(tenant, point) == (point, changes.NOTHING)
    with django_assert_num_queries(1):
        assert changes.since(tenant, Point(0)) == (point, Changes([template], []))


def test_too_many_changes_tell_nothing(tenant: Tenant, gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MAX_CHANGES_READ", 2)
    enrol(tenant, "alice", face(1), picture(face(1), ALIKE), picture(face(1), ALIKE, 1), gallery=gallery)
    assert since(tenant, 0) == (3, None)
    assert since(tenant, 1)[1] is not None


def test_a_tenant_that_is_gone_has_no_revision(tenant: Tenant) -> None:
    gone = Tenant(pk=tenant.pk + 1_000)
    for revision in (-1, 0):
        with pytest.raises(Tenant.DoesNotExist):
            since(gone, revision)


@pytest.mark.parametrize("seconds", [0.0, *STEPS_S])
def test_the_log_keeps_a_day(tenant: Tenant, gallery: Gallery, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Also when the machine's clock was set meanwhile."""
    step(monkeypatch, seconds)
    enrol(tenant, "alice", face(1), gallery=gallery)
    people.delete_subject(tenant, "alice")
    now = database.clock.now()
    assert not changes.old(now + timedelta(hours=23)).exists()
    assert changes.old(now + timedelta(hours=25)).get().revision == 1


def test_the_change_that_led_to_a_quiet_gallery_is_kept(tenant: Tenant, other_tenant: Tenant, gallery: Gallery) -> None:
    """Else nobody could tell a database that reached this revision from another one that did."""
    for each in (tenant, other_tenant):
        for number in range(3):
            enrol(each, f"p{number}", face(number), gallery=gallery)
    point = changes.latest(tenant)
    later = database.clock.now() + timedelta(days=3)
    while changes.old(later).exists():
        some = list(changes.old(later).values_list("pk", flat=True)[:2])
        changes.old(later).filter(pk__in=some).delete()
    assert [len(log_of(each)) for each in (tenant, other_tenant)] == [1, 1]
    assert changes.since(tenant, point) == (point, changes.NOTHING)
    assert changes.since(tenant, Point(point.revision, point.mark ^ 1))[1] is None
    assert changes.since(tenant, Point(point.revision))[1] is None, "nobody knows how it got there"
    enrol(tenant, "p3", face(3), gallery=gallery)
    assert not changes.old(database.clock.now() + timedelta(hours=23)).exists()
    assert changes.since(tenant, point)[1] == Changes(templates_of("p3"), [])

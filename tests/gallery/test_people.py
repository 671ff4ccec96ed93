from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest
from django.db import OperationalError, transaction

from database.calls import with_connection
from gallery import people
from gallery.matching import Gallery
from gallery.models import Renewal, Subject, Template, TemplateOrigin
from gallery.thresholds import threshold_for
from tenants.models import Tenant
from tests.enrolling import enroll
from tests.gallery.faces import RULES, enrol, face, picture, samples, unit

ALIKE = 0.8


def kept(tenant: Tenant) -> tuple[list[str], int, int]:
    """The tenant's subjects, the number of their templates, and the gallery's version."""
    subjects = sorted(Subject.objects.filter(tenant=tenant).values_list("subject_id", flat=True))
    return subjects, Template.objects.filter(tenant=tenant).count(), Tenant.objects.get(pk=tenant.pk).gallery_version


def test_every_sample_becomes_a_template_and_a_new_subject_is_made(tenant: Tenant, gallery: Gallery) -> None:
    made = enroll(tenant, "alice", samples(face(1), picture(face(1), ALIKE)), gallery, RULES)
    assert kept(tenant)[:2] == (["alice"], 2)
    assert {template.public_id for template in made} == set(Template.across_tenants.values_list("public_id", flat=True))
    assert {template.quality for template in Template.across_tenants.all()} == {0.9}


def test_the_same_person_may_add_samples_later(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrol(tenant, "alice", picture(face(1), ALIKE), gallery=gallery)
    assert kept(tenant)[:2] == (["alice"], 2)


def test_a_subject_without_templates_takes_any_face(tenant: Tenant, gallery: Gallery) -> None:
    people.create_subject(tenant, "alice", {})
    enrol(tenant, "alice", face(1), gallery=gallery)
    assert kept(tenant)[:2] == (["alice"], 1)


def test_one_face_is_refused_under_a_second_subject_and_nothing_is_kept(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    before = kept(tenant)
    with pytest.raises(people.DuplicateFace):
        enrol(tenant, "bob", picture(face(1), ALIKE), gallery=gallery)
    assert kept(tenant) == before


def test_one_known_face_among_the_samples_is_enough_to_refuse_them(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    with pytest.raises(people.DuplicateFace):
        enrol(tenant, "bob", face(2), picture(face(1), ALIKE), gallery=gallery)
    assert kept(tenant)[:2] == (["alice"], 1)


def test_a_known_face_is_refused_under_an_existing_subject_too(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrol(tenant, "bob", face(2), gallery=gallery)
    both = unit(0.8 * face(1) + face(2))
    assert 0.5 < both @ face(1) < both @ face(2), "the known face is not even the most similar"
    with pytest.raises(people.DuplicateFace):
        enrol(tenant, "bob", both, gallery=gallery)


def test_the_duplicate_check_holds_to_the_threshold_of_the_comparison_made(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    threshold = threshold_for(RULES.target_fpir, 1)
    enrol(tenant, "bob", picture(face(1), threshold - 0.01), gallery=gallery)
    threshold = threshold_for(RULES.target_fpir, 2)
    with pytest.raises(people.DuplicateFace):
        enrol(tenant, "carol", picture(face(1), threshold + 0.01, 1), gallery=gallery)
    assert kept(tenant)[:2] == (["alice", "bob"], 2)


def test_more_samples_are_more_comparisons_and_held_to_a_higher_threshold(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    between = (threshold_for(RULES.target_fpir, 1) + threshold_for(RULES.target_fpir, 3)) / 2
    enrol(tenant, "bob", *(picture(face(1), between, seed) for seed in range(3)), gallery=gallery)
    assert kept(tenant)[:2] == (["alice", "bob"], 4)


def test_without_the_duplicate_check_one_face_may_have_two_subjects(tenant: Tenant, gallery: Gallery) -> None:
    relaxed = replace(RULES, duplicate_check=False)
    for name in ("alice", "bob"):
        enroll(tenant, name, samples(face(1)), gallery, relaxed)
    assert kept(tenant)[:2] == (["alice", "bob"], 2)


@pytest.mark.parametrize("duplicate_check", [True, False])
def test_another_face_does_not_go_over_a_subject_and_nothing_is_kept(
    tenant: Tenant, gallery: Gallery, duplicate_check: bool
) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    before = kept(tenant)
    with pytest.raises(people.DifferentFace):
        enroll(tenant, "alice", samples(face(1), face(2)), gallery, replace(RULES, duplicate_check=duplicate_check))
    assert kept(tenant) == before


def test_a_face_that_was_erased_may_be_enrolled_again(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    people.delete_subject(tenant, "alice")
    assert kept(tenant)[:2] == ([], 0)
    enrol(tenant, "bob", face(1), gallery=gallery)
    assert kept(tenant)[:2] == (["bob"], 1)


@pytest.mark.parametrize("subject_id", ["a", "A-Z_0.9:x@y", "a" * 128])
def test_a_subject_id_is_the_tenants_own(tenant: Tenant, subject_id: str) -> None:
    assert people.create_subject(tenant, subject_id, {"team": 7}).subject_id == subject_id
    assert people.find_subject(tenant, subject_id).metadata == {"team": 7}


@pytest.mark.parametrize("subject_id", ["", "a" * 129, "a b", "a/b", "ä", "a\n", "a%20b"])
def test_an_invalid_subject_id_is_refused_wherever_a_subject_is_made(
    tenant: Tenant, gallery: Gallery, subject_id: str
) -> None:
    with pytest.raises(people.InvalidSubjectId):
        people.create_subject(tenant, subject_id, {})
    with pytest.raises(people.InvalidSubjectId):
        enrol(tenant, subject_id, face(1), gallery=gallery)
    assert kept(tenant) == ([], 0, 0)


def test_a_subject_is_created_once(tenant: Tenant) -> None:
    people.create_subject(tenant, "alice", {"team": 1})
    with pytest.raises(people.SubjectExists):
        people.create_subject(tenant, "alice", {"team": 2})
    assert people.find_subject(tenant, "alice").metadata == {"team": 1}


def test_deleting_what_is_not_there_says_so(tenant: Tenant, gallery: Gallery) -> None:
    with pytest.raises(people.SubjectNotFound):
        people.delete_subject(tenant, "alice")
    enrol(tenant, "alice", face(1), gallery=gallery)
    with pytest.raises(people.TemplateNotFound):
        people.delete_template(tenant, "alice", uuid4())


def test_a_tenant_cannot_touch_anothers_people(tenant: Tenant, other_tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrol(other_tenant, "eve", face(2), gallery=gallery)
    template = Template.objects.get(tenant=tenant)
    with pytest.raises(people.SubjectNotFound):
        people.delete_subject(other_tenant, "alice")
    with pytest.raises(people.TemplateNotFound):
        people.delete_template(other_tenant, "eve", template.public_id)
    assert kept(tenant)[:2] == (["alice"], 1)


def test_a_template_is_deleted_through_its_own_subject_only(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrol(tenant, "bob", face(2), gallery=gallery)
    of_bob = Template.across_tenants.get(subject__subject_id="bob").public_id
    with pytest.raises(people.TemplateNotFound):
        people.delete_template(tenant, "alice", of_bob)
    people.delete_template(tenant, "bob", of_bob)
    assert kept(tenant)[:2] == (["alice", "bob"], 1)


def test_a_renewal_puts_the_new_templates_in_the_place_of_the_old_ones(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), picture(face(1), ALIKE), gallery=gallery)
    new = picture(face(1), ALIKE, 1)
    (made,) = enroll(tenant, "alice", samples(new), gallery, RULES, renewal=Renewal.REPLACE)
    assert list(Template.across_tenants.values_list("public_id", "origin")) == [
        (made.public_id, TemplateOrigin.RENEWED)
    ]
    found = gallery.verify(tenant, "alice", new, RULES.target_fmr)
    assert found is not None
    assert found.similarity == pytest.approx(1.0, abs=1e-6)


def test_a_renewal_by_another_face_must_be_allowed_and_is_recorded(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    before = kept(tenant)
    with pytest.raises(people.DifferentFace):
        enroll(tenant, "alice", samples(face(2)), gallery, RULES, renewal=Renewal.REPLACE)
    assert kept(tenant) == before
    enroll(tenant, "alice", samples(face(2)), gallery, RULES, renewal=Renewal.UNCHECKED)
    assert Template.across_tenants.get().origin == TemplateOrigin.UNCHECKED
    enrol(tenant, "bob", face(1), gallery=gallery)
    with pytest.raises(people.DuplicateFace):
        enroll(tenant, "alice", samples(face(1)), gallery, RULES, renewal=Renewal.UNCHECKED)


@pytest.mark.usefixtures("each_database")
def test_a_renewal_that_breaks_off_leaves_the_old_templates(
    tenant: Tenant, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    before = kept(tenant), list(Template.across_tenants.values_list("pk", flat=True))

    def broken(*_: object, **__: object) -> None:
        raise OperationalError("the connection was lost")

    with monkeypatch.context() as patch:
        patch.setattr("django.db.models.query.QuerySet.delete", broken)
        with pytest.raises(OperationalError):
            enroll(tenant, "alice", samples(picture(face(1), ALIKE)), gallery, RULES, renewal=Renewal.REPLACE)
    assert (kept(tenant), list(Template.across_tenants.values_list("pk", flat=True))) == before


@pytest.mark.usefixtures("each_database")
def test_nobody_finds_a_person_without_a_template_while_it_is_renewed(
    tenant: Tenant, gallery: Gallery, other_worker: Gallery
) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    over = threading.Event()

    def look() -> list[str]:
        missed = []
        while not over.is_set():
            if not other_worker.identify(tenant, face(1), RULES.target_fpir).matches:
                missed.append("search")
            if other_worker.verify(tenant, "alice", face(1), RULES.target_fmr) is None:
                missed.append("verify")
        return missed

    with ThreadPoolExecutor(1) as threads:
        looking = threads.submit(with_connection, look)
        for seed in range(20):
            enroll(tenant, "alice", samples(picture(face(1), 0.9, seed)), gallery, RULES, renewal=Renewal.REPLACE)
        over.set()
        assert looking.result(60) == []


def test_a_subject_has_no_more_templates_than_allowed_but_all_may_be_renewed(tenant: Tenant, gallery: Gallery) -> None:
    many = samples(*(picture(face(1), ALIKE, seed) for seed in range(people.MAX_TEMPLATES)))
    enroll(tenant, "alice", many, gallery, RULES)
    with pytest.raises(people.TooManyTemplates, match="has 20 templates and may have 20"):
        enrol(tenant, "alice", face(1), gallery=gallery)
    assert kept(tenant)[1] == people.MAX_TEMPLATES
    enroll(tenant, "alice", many, gallery, RULES, renewal=Renewal.REPLACE)
    assert kept(tenant)[1] == people.MAX_TEMPLATES


def test_adaptive_templates_go_with_the_last_enrolled_one(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "alice", face(1), gallery=gallery)
    enrolled = Template.across_tenants.get()
    people.store_templates(tenant, enrolled.subject, samples(picture(face(1), ALIKE)), gallery, TemplateOrigin.ADAPTIVE)
    people.delete_template(tenant, "alice", enrolled.public_id)
    assert kept(tenant)[:2] == (["alice"], 0)


def test_a_subject_that_was_made_since_it_was_locked_keeps_its_face(tenant: Tenant, gallery: Gallery) -> None:
    """Where there is no row there is none to lock: another enrolment may make it before this one has the tenant."""
    enrol(tenant, "alice", face(1), gallery=gallery)
    before = kept(tenant)
    too_early = people.LockedSubject(tenant, "alice", None)
    with pytest.raises(people.DifferentFace), transaction.atomic():
        people.enroll(too_early, samples(face(2)), gallery, RULES)
    assert kept(tenant) == before
    with transaction.atomic():
        people.enroll(too_early, samples(picture(face(1), ALIKE)), gallery, RULES)
    assert kept(tenant)[:2] == (["alice"], 2)

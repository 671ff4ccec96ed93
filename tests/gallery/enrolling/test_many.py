"""Enrolling many people at once keeps every rule of enrolling them one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from audit.models import AuditEntry
from audit.verification import verify
from database.calls import with_connection
from gallery import people
from gallery.enrolling.many import Enrolment, enroll_many
from gallery.matching import Gallery
from gallery.models import Consent, Feedback, Picture, Renewal, Subject, Template, TemplateOrigin
from gallery.people import EnrollmentRules, GalleryError, Sample
from gallery.records.consents import GivenConsent, check_consent
from tenants.models import Tenant
from tests.enrolling import enroll
from tests.gallery.faces import RULES, enrol, face, picture, samples, search
from tests.gallery.workers import gallery_of
from vocabulary.audit import AuditKind

ALIKE = 0.8
CONSENT = GivenConsent("terms", "1", "rest")


@pytest.fixture(autouse=True)
def databases(each_database: str) -> str:
    return each_database


def of(subject_id: str, *seeds: int) -> Enrolment:
    """A person with these faces."""
    return Enrolment(subject_id, samples(*(face(seed) for seed in seeds)))


def one_by_one(
    tenant: Tenant, crowd: Sequence[Enrolment], gallery: Gallery, rules: EnrollmentRules, renewal: Renewal
) -> list[str]:
    """What becomes of each person, enrolled by themselves: how many templates, or the code of the refusal."""
    told = []
    for one in crowd:
        try:
            check_consent(tenant, one.subject_id, None)
            made = enroll(tenant, one.subject_id, list(one.samples), gallery, rules, renewal=renewal)
            told.append(str(len(made)))
        except GalleryError as refusal:
            told.append(refusal.code)
    return told


def together(
    tenant: Tenant, crowd: Sequence[Enrolment], gallery: Gallery, rules: EnrollmentRules = RULES, **how: Any
) -> list[str]:
    """What becomes of each person. `how`: fields of every enrolment."""
    outcomes = enroll_many(tenant, [replace(one, **how) for one in crowd], gallery, rules)
    return [one.code if isinstance(one, GalleryError) else str(len(one.templates)) for one in outcomes]


def kept(tenant: Tenant) -> list[tuple[str, str, int]]:
    """Each template's subject, and its origin; their numbers in the log of changes follow from the revision."""
    rows = Template.objects.filter(tenant=tenant).order_by("subject__subject_id", "pk")
    return [(row.subject.subject_id, row.origin, Tenant.objects.get(pk=tenant.pk).gallery_version) for row in rows]


CROWD = [
    of("anna", 10, 10),
    of("known", 1),
    of("other face", 2),
    of("changed", 3),
    of("double of known", 1),
    of("bert", 11),
    Enrolment("double of anna", samples(face(12), picture(face(10), ALIKE))),
    of("double of both", 11, 1),
    of("many", *[13] * 21),
    of("full", 4),
    of("without templates", 14),
    of("clara", 15),
    of("double of a double", 12),
]


@pytest.mark.parametrize("renewal", list(Renewal))
@pytest.mark.parametrize("duplicate_check", [True, False])
def test_each_fares_as_by_itself(tmp_path: Path, renewal: Renewal, duplicate_check: bool) -> None:
    rules = replace(RULES, duplicate_check=duplicate_check)
    crowd = [replace(one, subject_id=one.subject_id.replace(" ", "-")) for one in CROWD] + [of("not valid", 16)]
    told, left = [], []
    for name in ("apart", "at-once"):
        tenant, gallery = Tenant.objects.create(name=name), gallery_of(tmp_path, "exact")
        enrol(tenant, "known", face(1), gallery=gallery)
        enrol(tenant, "other-face", face(100), gallery=gallery)
        enrol(tenant, "changed", picture(face(3), ALIKE), gallery=gallery)
        enroll(tenant, "full", samples(*[face(4)] * 20), gallery, RULES)
        people.create_subject(tenant, "without-templates", {})
        if name == "apart":
            told.append(one_by_one(tenant, crowd, gallery, rules, renewal))
        else:
            told.append(together(tenant, crowd, gallery, rules=rules, renewal=renewal))
        left.append(kept(tenant))
    assert told[0] == told[1]
    assert left[0] == left[1]
    assert ("duplicate_face" in told[1]) == duplicate_check


def test_they_are_found_afterwards_and_in_the_same_transaction(tenant: Tenant, gallery: Gallery) -> None:
    with transaction.atomic():
        together(tenant, [of("anna", 1), of("bert", 2)], gallery)
        assert [one.subject_id for one in search(gallery, tenant, face(2), 1)] == ["bert"]
    assert [one.subject_id for one in search(gallery, tenant, face(1), 1)] == ["anna"]
    assert together(tenant, [of("clara", 3), of("dora", 1)], gallery) == ["1", "duplicate_face"]


def test_nothing_is_left_when_the_transaction_fails(tenant: Tenant, gallery: Gallery) -> None:
    before = AuditEntry.objects.filter(tenant=tenant).count()

    def fail() -> None:
        with transaction.atomic():
            together(tenant, [of("anna", 1), of("bert", 1)], gallery)
            raise RuntimeError("the machine has lost its power")

    with pytest.raises(RuntimeError):
        fail()
    assert not Subject.objects.filter(tenant=tenant).exists()
    assert AuditEntry.objects.filter(tenant=tenant).count() == before
    assert search(gallery, tenant, face(1), 1) == []


def test_more_people_ask_the_database_no_more_often(tenant: Tenant, gallery: Gallery) -> None:
    """The tenant's lock is held meanwhile, and each round trip may wait for a core."""
    numbers = []
    together(tenant, [of("first", 90), of("second", 91)], gallery)
    for crowd in ([of("a", 1), of("b", 2)], [of(f"p{n}", 10 + n, 50 + n) for n in range(20)]):
        with CaptureQueriesContext(connection) as queries:
            assert len(set(together(tenant, crowd, gallery))) == 1
        numbers.append(len(queries))
    assert numbers[0] == numbers[1]


def test_feedback_tells_doubles_apart(tenant: Tenant, gallery: Gallery) -> None:
    """As in `enroll`: the other's picture was said not to show the person."""
    enrol(tenant, "anna", face(1), gallery=gallery)
    twin = people.create_subject(tenant, "twin", {})
    Feedback.objects.create(
        tenant=tenant,
        subject=twin,
        model_id=gallery.model_id,
        vector=gallery.protection.protect([face(1)], tenant)[0],
        created_at=twin.created_at,
    )
    crowd = [Enrolment("twin", samples(picture(face(1), ALIKE))), of("stranger", 1)]
    assert together(tenant, crowd, gallery) == ["1", "duplicate_face"]


def test_consent_is_kept_with_each_and_needed_where_the_tenant_says_so(tenant: Tenant, gallery: Gallery) -> None:
    tenant.consent_required = True
    tenant.save()
    assert together(tenant, [of("anna", 1), of("bert", 2)], gallery) == ["consent_required"] * 2
    assert together(tenant, [of("anna", 1), of("bert", 2)], gallery, consent=CONSENT) == ["1", "1"]
    found = Consent.objects.filter(subject__tenant=tenant).values_list("subject__subject_id", "text", "version")
    assert sorted(found) == [("anna", "terms", "1"), ("bert", "terms", "1")]
    assert together(tenant, [of("anna", 1), of("clara", 3)], gallery) == ["1", "consent_required"]


def test_each_enrolment_is_recorded_and_the_chain_holds(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "known", face(9), gallery=gallery)
    together(tenant, [of("anna", 1, 1), of("known", 9), of("double", 1)], gallery, consent=CONSENT)
    references = dict(Subject.objects.filter(tenant=tenant).values_list("reference", "subject_id"))
    entries = AuditEntry.objects.filter(tenant=tenant).order_by("sequence")
    told = [
        (entry.kind, entry.reference, entry.details)
        for entry in entries
        if entry.kind in (AuditKind.ENROLLED, AuditKind.CONSENT_GIVEN)
    ]
    by_name = {reference.hex: name for reference, name in references.items() if reference is not None}
    assert [(kind, by_name[reference]) for kind, reference, _ in told] == [
        (AuditKind.CONSENT_GIVEN, "anna"),
        (AuditKind.ENROLLED, "anna"),
        (AuditKind.CONSENT_GIVEN, "known"),
        (AuditKind.ENROLLED, "known"),
    ]
    assert told[1][2] == {"templates": 2, "renewal": "none", "replaced": 0}
    with transaction.atomic():
        assert not verify(tenant.pk).fault


def test_what_was_replaced_is_recorded(tenant: Tenant, gallery: Gallery) -> None:
    enroll(tenant, "known", samples(face(1), face(1)), gallery, RULES)
    assert together(tenant, [of("known", 1), of("new", 2)], gallery, renewal=Renewal.REPLACE) == ["1", "1"]
    details = AuditEntry.objects.filter(tenant=tenant, kind=AuditKind.ENROLLED).values_list("details", flat=True)
    assert sorted(one["replaced"] for one in details) == [0, 2]
    assert {origin for _, origin, _ in kept(tenant)} == {TemplateOrigin.RENEWED}


def test_names_and_metadata_are_kept_with_new_people_and_old(tenant: Tenant, gallery: Gallery) -> None:
    enrol(tenant, "known", face(1), gallery=gallery)
    people.create_subject(tenant, "kept", {"old": 1}, "Kept")
    crowd = [
        Enrolment("known", samples(face(1)), "Known", {"n": 1}),
        Enrolment("new", samples(face(2)), "New", {"n": 2}),
        of("kept", 3),
    ]
    together(tenant, crowd, gallery)
    rows = Subject.objects.filter(tenant=tenant).values_list("subject_id", "display_name", "metadata")
    assert sorted(rows) == [("kept", "Kept", {"old": 1}), ("known", "Known", {"n": 1}), ("new", "New", {"n": 2})]


def test_pictures_are_kept_if_the_tenant_asks(tenant: Tenant, gallery: Gallery) -> None:
    crowd = [Enrolment(f"p{n}", [Sample(face(n), 0.9, b"picture %d" % n)]) for n in range(3)]
    together(tenant, crowd[:1], gallery)
    assert not Picture.objects.filter(tenant=tenant).exists()
    Tenant.objects.filter(pk=tenant.pk).update(picture_days=5)
    together(tenant, crowd[1:], gallery)
    kept_of = Picture.objects.filter(tenant=tenant).values_list("template__subject__subject_id", flat=True)
    assert sorted(kept_of) == ["p1", "p2"]


def test_a_person_is_named_once(tenant: Tenant, gallery: Gallery) -> None:
    with pytest.raises(ValueError, match="named twice"):
        together(tenant, [of("anna", 1), of("anna", 1)], gallery)
    assert together(tenant, [], gallery) == []


def test_batches_side_by_side_enrol_nobody_twice(tenant: Tenant, gallery: Gallery) -> None:
    """Two imports of the same people, in the opposite order, and a third that has the same faces under other ids."""
    crowd = [of(f"p{n}", n) for n in range(12)]
    doubles = [of(f"double-{n}", n) for n in range(12)]
    begin = Barrier(3)

    def import_all(people: Sequence[Enrolment]) -> list[str]:
        begin.wait(30)
        told = []
        for first in range(0, 12, 3):
            told += with_connection(together, tenant, people[first : first + 3], gallery)
        return told

    with ThreadPoolExecutor(3) as threads:
        told = list(threads.map(import_all, (crowd, crowd[::-1], doubles)))
        list(threads.map(lambda _: connection.close(), range(3)))
    assert {code for one in told for code in one} <= {"1", "duplicate_face"}
    faces_of = Template.objects.filter(tenant=tenant).values_list("subject__subject_id", flat=True)
    by_face = {name.rpartition("-")[2].removeprefix("p") for name in faces_of}
    assert len(by_face) == len(set(faces_of)) == 12
    with transaction.atomic():
        assert not verify(tenant.pk).fault

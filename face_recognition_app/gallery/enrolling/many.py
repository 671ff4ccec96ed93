"""Enrolment of several people in one transaction, by the rules that `enroll` has for one.

Whoever is plainly nobody's double is stored together with the others; everybody else goes through `enroll` itself, one
after the other. So the rules are written once, and most people share what makes an enrolment expensive: the tenant's
lock, the search for duplicates, the rows, the audit trail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Count

from gallery import binding, changes, pictures
from gallery.enrolling.doubles import possible_doubles
from gallery.enrolling.recording import Done, keep_and_record
from gallery.matching import Gallery
from gallery.models import Renewal, Subject, Template
from gallery.people import (
    MAX_TEMPLATES,
    ORIGINS,
    Enrolled,
    EnrollmentRules,
    GalleryError,
    Sample,
    check_subject_id,
    enroll,
    lock_subject,
)
from gallery.records.consents import GivenConsent, check_consent
from tenants.models import Tenant


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One person and the samples of the face, of which there is at least one. `metadata`: None leaves what is kept.
    `context`: of whoever asks for it, whom the audit trail names."""

    subject_id: str
    samples: Sequence[Sample]
    display_name: str = ""
    metadata: Mapping[str, Any] | None = None
    consent: GivenConsent | None = None
    renewal: Renewal = Renewal.NONE
    context: Context = field(default_factory=copy_context)


Outcome = Enrolled | GalleryError


@dataclass(slots=True)
class _Batch:
    tenant: Tenant
    gallery: Gallery
    rules: EnrollmentRules
    outcomes: dict[str, Outcome] = field(default_factory=dict)


def enroll_many(tenant: Tenant, people: Sequence[Enrolment], gallery: Gallery, rules: EnrollmentRules) -> list[Outcome]:
    """Do as `enroll` for each person, with the consent, and record it: what was stored of each, or why nothing was.

    One person's refusal is nothing to the others. A person may be named once. Raises OtherModel and KeysUnavailable;
    then nobody is enrolled.
    """
    if len({person.subject_id for person in people}) < len(people):
        raise ValueError("a person is named twice")
    gallery.store.refresh(tenant)  # Before the locks, for which others wait.
    batch = _Batch(tenant, gallery, rules)
    if len(people) == 1:
        _enroll_one(batch, people[0], recorded=True)
    else:
        _enroll_all(batch, people)
    return [batch.outcomes[person.subject_id] for person in people]


def _enroll_all(batch: _Batch, people: Sequence[Enrolment]) -> None:
    with transaction.atomic():
        _enroll_plain(batch, people)
        for person in people:
            if person.subject_id not in batch.outcomes:
                _enroll_one(batch, person)
        _record(batch, people)


def _enroll_plain(batch: _Batch, people: Sequence[Enrolment]) -> None:
    """Enrol those together to whom `enroll` would refuse nothing."""
    tenant = batch.tenant
    _lock(tenant, people)
    tenant.lock()
    known = _rows(tenant, people)  # With those that were enrolled while this waited.
    binding.bind(tenant, batch.gallery.model)
    _store(batch, _plain(batch, people, known), known)


def _lock(tenant: Tenant, people: Sequence[Enrolment]) -> None:
    """Lock those who have a row. Everybody locks several in the order of their keys."""
    ids = [person.subject_id for person in people]
    rows = Subject.objects.select_for_update(no_key=True).filter(tenant=tenant, subject_id__in=ids)
    list(rows.order_by("pk").values_list("pk"))


def _rows(tenant: Tenant, people: Sequence[Enrolment]) -> dict[str, Subject]:
    found = Subject.objects.filter(tenant=tenant, subject_id__in=[person.subject_id for person in people])
    return {row.subject_id: row for row in found}


def _plain(batch: _Batch, people: Sequence[Enrolment], known: Mapping[str, Subject]) -> list[Enrolment]:
    """Those who may be enrolled, have no template yet, not too many samples, and nobody's face."""
    held: dict[str, int] = {}
    if known:
        rows = Template.objects.filter(tenant=batch.tenant, subject__in=list(known.values()))
        held = dict(rows.values_list("subject__subject_id").annotate(Count("pk")).order_by())
    allowed = [one for one in people if _is_allowed(batch.tenant, one)]
    new = {one.subject_id for one in allowed if one.subject_id not in held and len(one.samples) <= MAX_TEMPLATES}
    if batch.rules.duplicate_check:
        new -= possible_doubles(batch.tenant, allowed, new, batch.gallery, batch.rules.target_fpir)
    return [one for one in allowed if one.subject_id in new]


def _is_allowed(tenant: Tenant, person: Enrolment) -> bool:
    try:
        check_subject_id(person.subject_id)
        check_consent(tenant, person.subject_id, person.consent)
    except GalleryError:
        return False
    return True


def _store(batch: _Batch, people: Sequence[Enrolment], known: Mapping[str, Subject]) -> None:
    """Store people without any check: as `enroll` and `store_templates` do, for all at once."""
    if not people:
        return
    tenant, gallery = batch.tenant, batch.gallery
    rows = {one.subject_id: _described(known.get(one.subject_id), tenant, one) for one in people}
    Subject.objects.bulk_create(row for row in rows.values() if row.pk is None)
    samples = [(one, sample) for one in people for sample in one.samples]
    vectors = gallery.protection.protect([sample.embedding for _, sample in samples], tenant)
    templates = Template.objects.bulk_create(
        Template(
            tenant=tenant,
            subject=rows[one.subject_id],
            model_id=gallery.model_id,
            vector=vector,
            quality=sample.quality,
            origin=ORIGINS[one.renewal],
        )
        for (one, sample), vector in zip(samples, vectors, strict=True)
    )
    shown = [(template, sample.picture) for template, (_, sample) in zip(templates, samples, strict=True)]
    pictures.keep(tenant, shown, gallery.protection)
    gallery.store.add(tenant, templates)
    changes.log(tenant.pk, [template.pk for template in templates], added=True)
    left = iter(templates)
    for one in people:
        made = [next(left) for _ in one.samples]
        batch.outcomes[one.subject_id] = Enrolled(rows[one.subject_id], made, one.renewal, 0)


def _described(row: Subject | None, tenant: Tenant, person: Enrolment) -> Subject:
    """The person's row with the name and the metadata that are given: a new one is not saved yet, an old one is."""
    if row is None:
        metadata = {} if person.metadata is None else dict(person.metadata)
        return Subject(tenant=tenant, subject_id=person.subject_id, display_name=person.display_name, metadata=metadata)
    if person.display_name or person.metadata is not None:
        row.display_name = person.display_name or row.display_name
        row.metadata = row.metadata if person.metadata is None else dict(person.metadata)
        row.save(update_fields=["display_name", "metadata"])
    return row


def _enroll_one(batch: _Batch, person: Enrolment, *, recorded: bool = False) -> None:
    """Enrol somebody by `enroll`, and record it if it is the only enrolment of its transaction."""
    tenant, subject_id = batch.tenant, person.subject_id
    try:
        with transaction.atomic():
            locked = lock_subject(tenant, check_subject_id(subject_id))
            check_consent(tenant, subject_id, person.consent)
            batch.outcomes[subject_id] = enroll(
                locked, list(person.samples), batch.gallery, batch.rules, person.display_name, person.renewal
            )
            if person.metadata is not None:
                Subject.objects.filter(tenant=tenant, subject_id=subject_id).update(metadata=dict(person.metadata))
            if recorded:
                _record(batch, [person])
    except GalleryError as refusal:
        batch.outcomes[subject_id] = refusal


def _record(batch: _Batch, people: Sequence[Enrolment]) -> None:
    found = [(one, batch.outcomes[one.subject_id]) for one in people]
    done = [Done(made, one.consent, one.context) for one, made in found if isinstance(made, Enrolled)]
    if done:
        keep_and_record(batch.tenant, done)

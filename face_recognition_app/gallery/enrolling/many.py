"""Enrolment of many people in one transaction, by the rules that `enroll` has for one.

Whoever is plainly nobody's double is stored together with the others; everybody else goes through `enroll` itself, one
after the other. So the rules are written once, and most people of an import share what makes an enrolment expensive:
the tenant's lock, the search for duplicates, the rows, the audit trail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Count

from audit.chain import Detail, Event, record
from database import clock
from gallery import binding, changes, pictures
from gallery.enrolling.doubles import possible_doubles
from gallery.matching import Gallery
from gallery.models import Consent, Renewal, Subject, Template
from gallery.people import (
    MAX_TEMPLATES,
    ORIGINS,
    EnrollmentRules,
    GalleryError,
    Sample,
    check_subject_id,
    enroll,
    lock_subject,
)
from gallery.records.consents import GivenConsent, check_consent
from gallery.records.references import reference_of
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.webhooks import EventType
from webhooks import outbox


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One person and the samples of the face, of which there is at least one. `metadata`: None leaves what is kept."""

    subject_id: str
    samples: Sequence[Sample]
    display_name: str = ""
    metadata: Mapping[str, Any] | None = None


Outcome = list[Template] | GalleryError


@dataclass(slots=True)
class _Batch:
    tenant: Tenant
    gallery: Gallery
    rules: EnrollmentRules
    consent: GivenConsent | None
    renewal: Renewal
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    replaced: dict[str, int] = field(default_factory=dict)


def enroll_many(
    tenant: Tenant,
    people: Sequence[Enrolment],
    gallery: Gallery,
    rules: EnrollmentRules,
    consent: GivenConsent | None = None,
    renewal: Renewal = Renewal.NONE,
) -> list[Outcome]:
    """Do as `enroll` for each person, with the consent, and record it: the templates of each, or why there are none.

    One person's refusal is nothing to the others. A person may be named once. Raises OtherModel and KeysUnavailable;
    then nobody is enrolled.
    """
    if len({person.subject_id for person in people}) < len(people):
        raise ValueError("a person is named twice")
    gallery.store.refresh(tenant)  # Before the locks, for which others wait.
    batch = _Batch(tenant, gallery, rules, consent, renewal)
    with transaction.atomic():
        _lock(tenant, people)
        tenant.lock()
        known = _rows(tenant, people)  # With those that were enrolled while this waited.
        binding.bind(tenant, gallery.model)
        allowed = [person for person in people if _is_allowed(batch, person)]
        together = _plain(batch, allowed, known)
        _store(batch, together, known)
        stored = {person.subject_id for person in together}
        for person in allowed:
            if person.subject_id not in stored:
                _enroll_one(batch, person)
        _record(batch, [person for person in allowed if isinstance(batch.outcomes[person.subject_id], list)])
    return [batch.outcomes[person.subject_id] for person in people]


def _lock(tenant: Tenant, people: Sequence[Enrolment]) -> None:
    """Lock those who have a row. Everybody locks several in the order of their keys."""
    ids = [person.subject_id for person in people]
    rows = Subject.objects.select_for_update(no_key=True).filter(tenant=tenant, subject_id__in=ids)
    list(rows.order_by("pk").values_list("pk"))


def _rows(tenant: Tenant, people: Sequence[Enrolment]) -> dict[str, Subject]:
    found = Subject.objects.filter(tenant=tenant, subject_id__in=[person.subject_id for person in people])
    return {row.subject_id: row for row in found}


def _is_allowed(batch: _Batch, person: Enrolment) -> bool:
    try:
        check_subject_id(person.subject_id)
        check_consent(batch.tenant, person.subject_id, batch.consent)
    except GalleryError as refusal:
        batch.outcomes[person.subject_id] = refusal
        return False
    return True


def _plain(batch: _Batch, people: Sequence[Enrolment], known: Mapping[str, Subject]) -> list[Enrolment]:
    """Those who have no template yet, not too many samples, and nobody's face: `enroll` would refuse none."""
    rows = Template.objects.filter(tenant=batch.tenant, subject__in=list(known.values()))
    held = dict(rows.values_list("subject__subject_id").annotate(Count("pk")).order_by())
    new = {one.subject_id for one in people if one.subject_id not in held and len(one.samples) <= MAX_TEMPLATES}
    if not batch.rules.duplicate_check:
        return [one for one in people if one.subject_id in new]
    doubles = possible_doubles(batch.tenant, people, new, batch.gallery, batch.rules.target_fpir)
    return [one for one in people if one.subject_id in new - doubles]


def _store(batch: _Batch, people: Sequence[Enrolment], known: Mapping[str, Subject]) -> None:
    """Store people without any check: as `enroll` and `store_templates` do, for all at once."""
    if not people:
        return
    tenant, gallery = batch.tenant, batch.gallery
    rows = {one.subject_id: _described(known.get(one.subject_id), tenant, one) for one in people}
    Subject.objects.bulk_create(row for row in rows.values() if row.pk is None)
    samples = [(rows[one.subject_id], sample) for one in people for sample in one.samples]
    templates = Template.objects.bulk_create(
        Template(
            tenant=tenant,
            subject=subject,
            model_id=gallery.model_id,
            vector=gallery.protection.protect(sample.embedding, tenant),
            quality=sample.quality,
            origin=ORIGINS[batch.renewal],
        )
        for subject, sample in samples
    )
    shown = [(template, sample.picture) for template, (_, sample) in zip(templates, samples, strict=True)]
    pictures.keep(tenant, shown, gallery.protection)
    gallery.store.add(tenant, templates)
    changes.log(tenant.pk, [template.pk for template in templates], added=True)
    left = iter(templates)
    for one in people:
        batch.outcomes[one.subject_id] = [next(left) for _ in one.samples]


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


def _enroll_one(batch: _Batch, person: Enrolment) -> None:
    tenant, subject_id = batch.tenant, person.subject_id
    try:
        with transaction.atomic():
            locked = lock_subject(tenant, subject_id)
            enrolled = enroll(
                locked, list(person.samples), batch.gallery, batch.rules, person.display_name, batch.renewal
            )
            batch.replaced[subject_id] = enrolled.replaced
            batch.outcomes[subject_id] = enrolled.templates
            if person.metadata is not None:
                Subject.objects.filter(tenant=tenant, subject_id=subject_id).update(metadata=dict(person.metadata))
    except GalleryError as refusal:
        batch.outcomes[subject_id] = refusal


def _record(batch: _Batch, enrolled: Sequence[Enrolment]) -> None:
    """Keep the consent of each, and record the enrolments, as the last of the transaction."""
    if not enrolled:
        return
    tenant, consent = batch.tenant, batch.consent
    rows, events, told = _rows(tenant, enrolled), list[Event](), list[outbox.Event]()
    if consent is not None:
        now = clock.now()
        Consent.objects.bulk_create(
            Consent(
                subject=rows[one.subject_id],
                text=consent.text,
                version=consent.version,
                given_by=consent.given_by,
                given_at=now,
            )
            for one in enrolled
        )
    for one in enrolled:
        reference = rows[one.subject_id].reference or reference_of(tenant, one.subject_id)
        if consent is not None:
            events.append(Event(AuditKind.CONSENT_GIVEN, reference, consent.as_json()))
        details: dict[str, Detail] = {
            "templates": len(one.samples),
            "renewal": str(batch.renewal),
            "replaced": batch.replaced.get(one.subject_id, 0),
        }
        events.append(Event(AuditKind.ENROLLED, reference, details))
        told.append(outbox.Event(EventType.SUBJECT_ENROLLED, {"subject_id": one.subject_id, **details}, one.subject_id))
    record(tenant.pk, *events)
    outbox.note(tenant, *told)

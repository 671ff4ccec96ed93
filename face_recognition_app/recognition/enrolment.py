"""Enrolment from pictures, without a session."""

from __future__ import annotations

from django.db import transaction

from audit.chain import Detail, Event, record
from gallery.matching import Gallery
from gallery.models import Renewal, Template
from gallery.people import Enrolled, Sample, check_subject_id, enroll, lock_subject
from gallery.records.consents import GivenConsent, check_consent, keep_consent
from gallery.records.references import reference_in
from recognition.deciding import Deciding
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.webhooks import EventType
from webhooks import outbox


def enroll_pictures(
    deciding: Deciding,
    gallery: Gallery,
    tenant: Tenant,
    subject_id: str,
    samples: list[Sample],
    consent: GivenConsent | None,
    renewal: Renewal = Renewal.NONE,
) -> list[Template]:
    """Do as `enroll`, with the consent, and record it. `gallery`: the one whose embedder has made the samples. Raises
    ConsentRequired, too; then nothing is stored."""
    check_subject_id(subject_id)
    gallery.store.refresh(tenant)  # Before the locks, for which others wait.
    with transaction.atomic():
        locked = lock_subject(tenant, subject_id)
        check_consent(tenant, subject_id, consent)
        enrolled = enroll(locked, samples, gallery, deciding.rules, renewal=renewal)
        keep_and_record(tenant, enrolled, consent)
    return enrolled.templates


def keep_and_record(tenant: Tenant, enrolled: Enrolled, consent: GivenConsent | None) -> None:
    """Keep the consent and record an enrolment, as the last of the caller's transaction."""
    subject = enrolled.subject
    if consent is not None:
        keep_consent(subject, consent)
    reference = reference_in(subject)
    given = [] if consent is None else [Event(AuditKind.CONSENT_GIVEN, reference, consent.as_json())]
    details: dict[str, Detail] = {
        "templates": len(enrolled.templates),
        "renewal": str(enrolled.renewal),
        "replaced": enrolled.replaced,
    }
    record(tenant.pk, *given, Event(AuditKind.ENROLLED, reference, details))
    told: dict[str, outbox.Value] = {"subject_id": subject.subject_id, **details}
    outbox.note(tenant, outbox.Event(EventType.SUBJECT_ENROLLED, told, subject.subject_id))

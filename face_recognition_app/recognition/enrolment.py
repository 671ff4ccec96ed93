"""Enrolment from pictures, without a session."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from audit.chain import Detail, Event, record
from gallery.matching import Gallery
from gallery.models import Renewal, Template
from gallery.people import Sample, check_subject_id, enroll, lock_subject, replaced_by
from gallery.records.consents import GivenConsent, check_consent, keep_consent
from gallery.records.references import reference_of
from recognition.deciding import Deciding
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.webhooks import EventType
from webhooks import outbox


@dataclass(frozen=True, slots=True)
class Renewed:
    """Which renewal an enrolment was, and how many templates it has replaced."""

    renewal: Renewal
    replaced: int


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
    gallery.store.refresh(tenant)  # Before the locks, for which others wait.
    with transaction.atomic():
        lock_subject(tenant, check_subject_id(subject_id))
        check_consent(tenant, subject_id, consent)
        renewed = Renewed(renewal, replaced_by(tenant, subject_id, renewal))
        templates = enroll(tenant, subject_id, samples, gallery, deciding.rules, renewal=renewal)
        keep_and_record(tenant, subject_id, consent, len(templates), renewed)
    return templates


def keep_and_record(
    tenant: Tenant, subject_id: str, consent: GivenConsent | None, templates: int, renewed: Renewed
) -> None:
    """Keep the consent and record an enrolment, as the last of the caller's transaction."""
    if consent is not None:
        keep_consent(tenant, subject_id, consent)
    reference = reference_of(tenant, subject_id)
    given = [] if consent is None else [Event(AuditKind.CONSENT_GIVEN, reference, consent.as_json())]
    details: dict[str, Detail] = {"templates": templates, "renewal": str(renewed.renewal), "replaced": renewed.replaced}
    record(tenant.pk, *given, Event(AuditKind.ENROLLED, reference, details))
    outbox.note(tenant, outbox.Event(EventType.SUBJECT_ENROLLED, {"subject_id": subject_id, **details}, subject_id))

"""What is kept and told of enrolments, as the last of the transaction that makes them."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from audit.chain import Detail, Event, append
from database import clock
from gallery.models import Consent
from gallery.people import Enrolled
from gallery.records.consents import GivenConsent
from gallery.records.references import reference_in
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.webhooks import EventType
from webhooks import outbox


@dataclass(frozen=True, slots=True)
class Done:
    """An enrolment that was made. `context`: of whoever asked for it, with the actor and the request's id."""

    enrolled: Enrolled
    consent: GivenConsent | None
    context: Context = field(default_factory=copy_context)


def keep_and_record(tenant: Tenant, enrolments: Sequence[Done]) -> None:
    """Keep the consent of each, record them in the audit trail, and note them for whoever wants to be told."""
    _keep_consents(enrolments)
    events: list[tuple[Context, Event]] = []
    told: list[outbox.Event] = []
    for one in enrolments:
        enrolled, consent = one.enrolled, one.consent
        subject, reference = enrolled.subject, reference_in(enrolled.subject)
        if consent is not None:
            events.append((one.context, Event(AuditKind.CONSENT_GIVEN, reference, consent.as_json())))
        details: dict[str, Detail] = {
            "templates": len(enrolled.templates),
            "renewal": str(enrolled.renewal),
            "replaced": enrolled.replaced,
        }
        events.append((one.context, Event(AuditKind.ENROLLED, reference, details)))
        data = {"subject_id": subject.subject_id, **details}
        told.append(outbox.Event(EventType.SUBJECT_ENROLLED, data, subject.subject_id))
    append(tenant.pk, events)
    outbox.note(tenant, *told)


def _keep_consents(enrolments: Sequence[Done]) -> None:
    now = clock.now()
    Consent.objects.bulk_create(
        Consent(
            subject=one.enrolled.subject,
            text=one.consent.text,
            version=one.consent.version,
            given_by=one.consent.given_by,
            given_at=now,
        )
        for one in enrolments
        if one.consent is not None
    )

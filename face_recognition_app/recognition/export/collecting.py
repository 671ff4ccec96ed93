"""Collects what is held about a person from the rows of every room."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any, cast
from uuid import UUID

from django.db.models import Model, Q

from audit.models import AuditEntry
from core.liveness.policy import Policy
from gallery import people, pictures
from gallery.models import (
    Consent,
    Feedback,
    ImportedPicture,
    Picture,
    Reembedded,
    Renewal,
    Subject,
    Template,
    TemplateOrigin,
)
from gallery.protection import TemplateProtection
from gallery.protection.errors import SecretGone
from gallery.records.consents import GivenBy
from gallery.records.references import record_reading, reference_of
from jobs.models import DeadLetter, Job
from recognition.export.document import (
    ExportedAttempts,
    ExportedConsent,
    ExportedDecision,
    ExportedDelivery,
    ExportedDevice,
    ExportedEntry,
    ExportedFeedback,
    ExportedJob,
    ExportedPerson,
    ExportedPicture,
    ExportedSession,
    ExportedTemplate,
    SubjectExport,
)
from recognition.models import OPEN_STATUSES, AttemptKind, Decision, FailedAttempts, KnownDevice, Session, SessionProbe
from tenants.models import Tenant
from vocabulary.audit import AuditKind, actor_kind_of, kind_of
from vocabulary.jobs import JobStatus, JobType, Priority
from vocabulary.sessions import LivenessOutcome, Reason, SessionKind, SessionStatus
from vocabulary.webhooks import DeliveryStatus, EventType
from webhooks import deliveries
from webhooks.attempts import Attempt
from webhooks.models import Delivery

SECTIONS: dict[type[Model], str] = {
    Subject: "subject",
    Consent: "consents",
    Template: "templates",
    Picture: "templates",
    ImportedPicture: "templates",
    Reembedded: "templates",
    Feedback: "feedback",
    Session: "sessions",
    Decision: "sessions",
    SessionProbe: "sessions",
    FailedAttempts: "failed_attempts",
    KnownDevice: "known_devices",
    Job: "jobs",
    DeadLetter: "jobs",
    Delivery: "webhook_deliveries",
    AuditEntry: "audit",
}
"""The section of the document with each model's rows. A test compares it with all models."""


def of_subject(tenant: Tenant, subject_id: str, protection: TemplateProtection) -> SubjectExport:
    """The document, whose making is recorded. Raises SubjectNotFound, and KeysUnavailable when a picture can be read
    with a master key that is not here."""
    subject = people.find_subject(tenant, subject_id)
    reference = reference_of(tenant, subject_id)
    assert reference is not None
    export = SubjectExport(
        subject=_person(subject, reference),
        consents=[_consent(row) for row in Consent.objects.filter(subject=subject).order_by("pk")],
        templates=_templates(tenant, subject, protection),
        feedback=[
            ExportedFeedback(session=row.session, created_at=row.created_at)
            for row in Feedback.objects.filter(subject=subject).defer("vector").order_by("pk")
        ],
        sessions=_sessions(tenant, subject_id),
        failed_attempts=_attempts(tenant, subject_id),
        known_devices=[
            ExportedDevice(device_id=row.device, used_at=row.used_at)
            for row in KnownDevice.objects.filter(subject=subject).order_by("pk")
        ],
        jobs=[_job(row) for row in Job.objects.filter(tenant=tenant, subject_id=subject_id).order_by("pk")],
        webhook_deliveries=[_delivery(row) for row in deliveries.of_subject(tenant, subject_id).order_by("pk")],
        audit=[_entry(row) for row in AuditEntry.objects.filter(tenant=tenant, reference=reference.hex).order_by("pk")],
    )
    record_reading(tenant, subject_id, AuditKind.SUBJECT_EXPORTED)
    return export


def _person(subject: Subject, reference: UUID) -> ExportedPerson:
    return ExportedPerson(
        subject_id=subject.subject_id,
        display_name=subject.display_name,
        metadata=subject.metadata,
        reference=reference.hex,
        created_at=subject.created_at,
        seen_at=subject.seen_at,
    )


def _consent(row: Consent) -> ExportedConsent:
    return ExportedConsent(
        text=row.text,
        version=row.version,
        given_by=cast("GivenBy", row.given_by),
        given_at=row.given_at,
        withdrawn_at=row.withdrawn_at,
    )


def _templates(tenant: Tenant, subject: Subject, protection: TemplateProtection) -> list[ExportedTemplate]:
    rows = (
        Template.objects.filter(subject=subject)
        .select_related("picture", "reembedded", "imported")
        .defer("vector", "reembedded__vector")
        .order_by("pk")
    )
    return [_template(row, _picture(getattr(row, "picture", None), tenant, protection)) for row in rows]


def _picture(row: Picture | None, tenant: Tenant, protection: TemplateProtection) -> ExportedPicture | None:
    if row is None:
        return None
    try:
        png = b64encode(pictures.content_of(row, tenant, protection)).decode()
    except SecretGone:
        png = None
    return ExportedPicture(png=png, created_at=row.created_at)


def _template(row: Template, picture: ExportedPicture | None) -> ExportedTemplate:
    return ExportedTemplate(
        id=row.public_id,
        model_id=row.model_id,
        quality=row.quality,
        origin=TemplateOrigin(row.origin),
        created_at=row.created_at,
        picture=picture,
        moving_to=getattr(getattr(row, "reembedded", None), "model_id", None),
        imported_from=_digest(getattr(row, "imported", None)),
    )


def _digest(row: ImportedPicture | None) -> str | None:
    return None if row is None else bytes(row.sha256).hex()


def _sessions(tenant: Tenant, subject_id: str) -> list[ExportedSession]:
    """Sessions that claimed to be the person, were decided as the person, or have found the person so far."""
    found = Q(checkpoint__contains=f'"subject_id":"{subject_id}"', status__in=OPEN_STATUSES)
    decided = Q(decision__subject_id=subject_id) | Q(decision__duplicate_of=subject_id)
    about = Session.objects.filter(Q(subject_id=subject_id) | decided | found, tenant=tenant)
    rows = about.select_related("decision", "probe").order_by("created_at", "pk")
    return [_session(row) for row in rows]


def _session(row: Session) -> ExportedSession:
    decision: Decision | None = getattr(row, "decision", None)
    probe: SessionProbe | None = getattr(row, "probe", None)
    return ExportedSession(
        id=row.pk,
        kind=SessionKind(row.kind),
        subject_id=row.subject_id,
        liveness=Policy(row.liveness),
        device_id=row.device_id,
        address=row.address,
        display_name=row.display_name,
        metadata=row.metadata,
        consent=row.consent,
        renewal=Renewal(row.renewal),
        status=SessionStatus(row.status),
        checkpoint_characters=len(row.checkpoint),
        created_at=row.created_at,
        started_at=row.started_at,
        expires_at=row.expires_at,
        probe_kept_at=None if probe is None else probe.kept_at,
        decision=None if decision is None else _decision(decision),
    )


def _decision(row: Decision) -> ExportedDecision:
    return ExportedDecision(
        success=row.success,
        subject_id=row.subject_id,
        similarity=row.similarity,
        threshold=row.threshold,
        liveness=LivenessOutcome(row.liveness),
        reason=Reason(row.reason) if row.reason else None,
        locked_until=row.locked_until,
        attempts_left=row.attempts_left,
        duplicate_of=row.duplicate_of,
        evidence=row.evidence,
        decision_token=row.token,
        created_at=row.created_at,
    )


def _attempts(tenant: Tenant, subject_id: str) -> list[ExportedAttempts]:
    kinds = [AttemptKind.SUBJECT, AttemptKind.UNNAMED]
    rows = FailedAttempts.objects.filter(tenant=tenant, kind__in=kinds, key=subject_id).order_by("pk")
    return [
        ExportedAttempts(
            kind=AttemptKind(row.kind),
            failed_at=row.failed_at,
            waits_until=row.waits_until,
            locked_until=row.locked_until,
            stale_at=row.stale_at,
        )
        for row in rows
    ]


def _job(row: Job) -> ExportedJob:
    return ExportedJob(
        id=row.public_id,
        type=JobType(row.type),
        priority=Priority(row.priority),
        status=JobStatus(row.status),
        subject_id=row.subject_id,
        payload=row.payload,
        error=row.error,
        done=row.done,
        total=row.total,
        checkpoint_characters=_characters(row.checkpoint),
        result_characters=_characters(row.result),
        dead_letters=DeadLetter.objects.filter(job=row).count(),
        actor=row.actor,
        request_id=row.request_id,
        run_at=row.run_at,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _delivery(row: Delivery) -> ExportedDelivery:
    return ExportedDelivery(
        id=row.public_id,
        webhook=row.endpoint.public_id,
        type=EventType(row.type),
        status=DeliveryStatus(row.status),
        sent=row.body,
        answers=[Attempt.from_json(kept).answer for kept in row.attempts],
        created_at=row.created_at,
        finished_at=row.finished_at,
    )


def _characters(value: Any) -> int:
    return 0 if value is None else len(json.dumps(value))


def _entry(row: AuditEntry) -> ExportedEntry:
    return ExportedEntry(
        sequence=row.sequence,
        at=row.at,
        kind=kind_of(row.kind),
        actor_kind=actor_kind_of(row.actor_kind),
        actor_id=row.actor_reference,
        actor_name=row.actor_name,
        request_id=row.request_id,
        details=row.details,
    )

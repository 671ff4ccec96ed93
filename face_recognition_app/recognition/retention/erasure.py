"""Erasing a person: the templates, and every row that names the person or was made from the face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from audit.chain import Event, record
from database import write_ahead_log
from gallery import people
from gallery.models import Consent, Feedback, Subject, Template
from gallery.records.consents import end_consents
from gallery.records.references import record_about, reference_of
from jobs.models import Job
from recognition.background.reports import files
from recognition.deciding import Deciding
from recognition.models import ENDED_STATUSES, OPEN_STATUSES, Decision, KnownDevice, Session, SessionProbe
from recognition.retention.batches import apply_in_batches, apply_to_batch
from recognition.sessions import lockout
from recognition.sessions.checkpoints import UnreadableHere
from recognition.sessions.decisions import end_without_subject, note_expiry
from recognition.sessions.lifecycle import readable
from recognition.tokens.receipts import Erased, ErasureReceipt, Why
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.jobs import FINISHED
from vocabulary.sessions import SessionStatus
from vocabulary.webhooks import EventType
from webhooks import deliveries, outbox
from webhooks.outbox import Value


class SessionCameIn(Exception):
    """A session was made between the locks: nothing has happened, and another try finds it."""


def erase_subject(deciding: Deciding, tenant: Tenant, subject_id: str) -> str:
    """Erase a subject, from this call on everywhere. Its connected clients are told that it is gone.

    Returns the signed receipt. Raises SubjectNotFound. After an interruption a part may be erased already; another call
    erases the rest.
    """
    people.find_subject(tenant, subject_id)
    sessions = 0
    while done := apply_in_batches(_ended(tenant, subject_id)):
        sessions += done  # Most rows go in short transactions; little is left for the last one.
    while apply_in_batches(deliveries.ended_of_subject(tenant, subject_id)):
        pass
    return erase_the_rest(deciding, tenant, subject_id, sessions, lambda receipt: None)


def erase_some_sessions(tenant: Tenant, subject_id: str) -> int:
    """Erase some ended sessions of the subject in the caller's transaction. Returns their number, 0 when none is left
    that can be erased now."""
    return apply_to_batch(_ended(tenant, subject_id))


def erase_the_rest(
    deciding: Deciding, tenant: Tenant, subject_id: str, sessions: int, keep: Callable[[str], object]
) -> str:
    """Erase a subject of whom `sessions` ended sessions were erased before. Returns the signed receipt, of which `keep`
    is told within the transaction that erases. Raises SubjectNotFound."""
    receipt = _until_no_session_comes(deciding, tenant, subject_id, "requested", None, sessions, keep)
    assert receipt is not None
    return receipt


def erase_if_unseen(deciding: Deciding, tenant: Tenant, subject_id: str, since: datetime) -> bool:
    """Erase a subject that was neither enrolled nor recognised since then, in one transaction; whether it was so."""
    return _until_no_session_comes(deciding, tenant, subject_id, "unseen", since, 0) is not None


def unseen(tenant: Tenant, since: datetime) -> QuerySet[Subject]:
    """Subjects that were made, enrolled and recognised before `since` for the last time."""
    old = Subject.objects.filter(tenant=tenant, created_at__lt=since).filter(Q(seen_at=None) | Q(seen_at__lt=since))
    return old.filter(~Exists(Template.objects.filter(tenant=tenant, subject=OuterRef("pk"), created_at__gte=since)))


def erase_for_withdrawal(deciding: Deciding, tenant: Tenant, subject_id: str) -> None:
    """Erase what is kept of the face of a subject that withdraws its consent, and end its open sessions.

    The subject itself, its consents, now withdrawn, and what was decided stay. Raises SubjectNotFound.
    """
    while True:
        try:
            with transaction.atomic():
                held = _locked(tenant, subject_id)
                subject = people.find_subject(tenant, subject_id)
                gallery = deciding.gallery_of(tenant)
                unread = people.forget_feedback(tenant, subject_id, gallery, deciding.settings.target_fmr)
                SessionProbe.objects.filter(tenant=tenant, session__decision__subject_id=subject_id).delete()
                templates, _ = Template.objects.filter(subject=subject).delete()
                consents = end_consents(tenant, subject_id)
                for session in held:
                    _end(deciding, session)
                details = {"templates": templates, "consents": consents, "unread_feedback": unread}
                record_about(tenant, subject_id, AuditKind.CONSENT_WITHDRAWN, **details)
                told: dict[str, Value] = {"subject_id": subject_id, "templates": templates}
                outbox.note(tenant, outbox.Event(EventType.CONSENT_WITHDRAWN, told, subject_id))
            break
        except SessionCameIn:
            continue
    write_ahead_log.empty()


def erase_template(tenant: Tenant, subject_id: str, public_id: UUID) -> None:
    """Erase one template. Raises SubjectNotFound or TemplateNotFound."""
    people.delete_template(tenant, subject_id, public_id)
    write_ahead_log.empty()


def _until_no_session_comes(
    deciding: Deciding,
    tenant: Tenant,
    subject_id: str,
    why: Why,
    since: datetime | None,
    sessions: int,
    keep: Callable[[str], object] = lambda receipt: None,
) -> str | None:
    while True:
        try:
            with transaction.atomic():
                receipt = _erase_all(deciding, tenant, subject_id, why, since, sessions)
                if receipt is not None:
                    keep(receipt)
            break
        except SessionCameIn:
            continue  # None can be made while the subject is locked.
    write_ahead_log.empty()
    files.delete_about(deciding.settings.data_dir, tenant)
    return receipt


def _erase_all(
    deciding: Deciding, tenant: Tenant, subject_id: str, why: Why, since: datetime | None, sessions: int
) -> str | None:
    """Erase all that is left in one transaction, and record it. Returns the receipt; None for who was seen since.

    `sessions`: number of those that were erased before. Raises SessionCameIn or SubjectNotFound.
    """
    with transaction.atomic():
        held = _locked(tenant, subject_id)
        subject = people.find_subject(tenant, subject_id)
        if since is not None and not unseen(tenant, since).filter(pk=subject.pk).exists():
            return None
        reference = reference_of(tenant, subject_id)
        templates = Template.objects.filter(subject=subject).count()
        consents = Consent.objects.filter(subject=subject).count()
        devices = KnownDevice.objects.filter(subject=subject).count()
        ended = _ended(tenant, subject_id)
        sessions += len(held) + ended.count()
        ended.delete()
        Job.objects.filter(tenant=tenant, subject_id=subject_id, status__in=FINISHED).delete()
        Feedback.objects.filter(subject=subject).delete()  # So that only those with other subjects may stay.
        gallery = deciding.gallery_of(tenant)
        unread = people.forget_feedback(tenant, subject_id, gallery, deciding.settings.target_fmr)
        Decision.objects.filter(tenant=tenant, duplicate_of=subject_id).update(duplicate_of="")
        people.delete_subject(tenant, subject_id)
        erased = Erased(templates, sessions, consents, devices, lockout.forget_subject(tenant, subject_id))
        for session in held:  # Recording their ends locks the audit trail, after everything else.
            _end(deciding, session)
        details = {"why": why, **asdict(erased), "unread_feedback": unread}
        head = record(tenant.pk, Event(AuditKind.SUBJECT_ERASED, reference, details))
        deliveries.of_subject(tenant, subject_id).delete()
        told: dict[str, Value] = {"subject_id": subject_id, "why": why}
        outbox.note(tenant, outbox.Event(EventType.SUBJECT_DELETED, told, subject_id))
        assert reference is not None
        receipt = ErasureReceipt(tenant.name, reference.hex, why, erased, unread, f"{head.sequence}:{head.hash}")
        return deciding.signer.sign_receipt(receipt)


def _locked(tenant: Tenant, subject_id: str) -> list[Session]:
    """Open sessions of the subject, locked as the subject is. Raises SessionCameIn when another came in between."""
    # Lock sessions before the subject, as deciding a session does, to avoid a deadlock.
    held = list(_open(tenant, subject_id).select_for_update(of=("self",)).select_related("tenant").order_by("pk"))
    people.lock_subject(tenant, subject_id)
    if _open(tenant, subject_id).exclude(pk__in=[session.pk for session in held]).exists():
        raise SessionCameIn
    return held


def _end(deciding: Deciding, session: Session) -> None:
    """Anonymise and expire the session. The row stays until retention deletes it."""
    try:
        flow = readable(deciding, session)
    except UnreadableHere:
        flow = None  # Erasure does not wait for another worker.
    session.subject_id = session.device_id = session.address = session.request_digest = session.checkpoint = ""
    session.display_name, session.metadata, session.idempotency_key, session.consent = "", {}, None, None
    session.status = SessionStatus.EXPIRED
    session.save()
    if flow is None:
        note_expiry(session)
    else:
        end_without_subject(deciding, session, flow)


def _open(tenant: Tenant, subject_id: str) -> QuerySet[Session]:
    """Open sessions of the subject, and identifications whose checkpoint names it as found."""
    found = Q(checkpoint__contains=f'"subject_id":"{subject_id}"')
    return Session.objects.filter(Q(subject_id=subject_id) | found, tenant=tenant, status__in=OPEN_STATUSES)


def _ended(tenant: Tenant, subject_id: str) -> QuerySet[Session]:
    """Ended sessions that are about the subject or were decided as the subject."""
    decided = Decision.objects.filter(tenant=tenant, subject_id=subject_id).values("session")
    about = Q(subject_id=subject_id) | Q(pk__in=decided)
    return Session.objects.filter(about, tenant=tenant, status__in=ENDED_STATUSES)

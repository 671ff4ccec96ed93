"""Erasing a person: the templates, and every row that names the person or was made of the face."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from database import write_ahead_log
from gallery.people import delete_subject, delete_template, find_subject, lock_subject
from recognition.deciding import Deciding
from recognition.models import ENDED_STATUSES, OPEN_STATUSES, Decision, Session
from recognition.retention.batches import sweep
from recognition.sessions import lockout
from recognition.sessions.checkpoints import NewerCheckpoint
from recognition.sessions.decisions import end_without_subject
from recognition.sessions.lifecycle import readable
from tenants.models import Tenant
from vocabulary.sessions import SessionStatus


def erase_subject(deciding: Deciding, tenant: Tenant, subject_id: str) -> None:
    """Erase a subject from this call on everywhere; who is connected is told that the subject is gone.

    Raises SubjectNotFound. When it breaks off, some may be erased already, and another call does the rest.
    """
    find_subject(tenant, subject_id)
    while sweep(_ended(tenant, subject_id)):
        pass  # Most of it in short transactions; the last one has little left.
    while not _erase_the_rest(deciding, tenant, subject_id):
        pass  # A session was made in that moment; none can be made while the subject is locked.
    write_ahead_log.empty()


def erase_template(tenant: Tenant, subject_id: str, public_id: UUID) -> None:
    """Erase one template. Raises SubjectNotFound or TemplateNotFound."""
    delete_template(tenant, subject_id, public_id)
    write_ahead_log.empty()


def _erase_the_rest(deciding: Deciding, tenant: Tenant, subject_id: str) -> bool:
    """In one transaction, all or nothing: False when a session came in between."""
    with transaction.atomic():
        # Sessions before the subject, as whoever decides one does: else the two would wait for each other.
        held = list(_open(tenant, subject_id).select_for_update(of=("self",)).select_related("tenant").order_by("pk"))
        lock_subject(tenant, subject_id)
        if _open(tenant, subject_id).exclude(pk__in=[session.pk for session in held]).exists():
            return False
        for session in held:
            _end(deciding, session)
        _ended(tenant, subject_id).delete()
        delete_subject(tenant, subject_id)
        lockout.forget_subject(tenant, subject_id)
    return True


def _end(deciding: Deciding, session: Session) -> None:
    """What stays of the session, until it is too old, names nobody."""
    try:
        flow = readable(session)
    except NewerCheckpoint:
        flow = None  # Nobody waits for a newer worker to be erased.
    session.subject_id = session.device_id = session.address = session.request_digest = session.checkpoint = ""
    session.metadata, session.idempotency_key = {}, None
    session.status = SessionStatus.EXPIRED
    session.save()
    if flow is not None:
        end_without_subject(deciding, session, flow)


def _open(tenant: Tenant, subject_id: str) -> QuerySet[Session]:
    """Also an identification that has found the subject so far: its checkpoint names whom it found."""
    found = Q(checkpoint__contains=f'"subject_id":"{subject_id}"')
    return Session.objects.filter(Q(subject_id=subject_id) | found, tenant=tenant, status__in=OPEN_STATUSES)


def _ended(tenant: Tenant, subject_id: str) -> QuerySet[Session]:
    """About the subject, or with the outcome that it was the subject."""
    decided = Decision.objects.filter(tenant=tenant, subject_id=subject_id).values("session")
    about = Q(subject_id=subject_id) | Q(pk__in=decided)
    return Session.objects.filter(about, tenant=tenant, status__in=ENDED_STATUSES)

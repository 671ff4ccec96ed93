"""Erasing a person: the templates, and every row that names the person or was made from the face."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from database import write_ahead_log
from gallery.people import delete_subject, delete_template, find_subject, lock_subject
from recognition.deciding import Deciding
from recognition.models import ENDED_STATUSES, OPEN_STATUSES, Decision, Session
from recognition.retention.batches import apply_in_batches
from recognition.sessions import lockout
from recognition.sessions.checkpoints import UnreadableHere
from recognition.sessions.decisions import end_without_subject
from recognition.sessions.lifecycle import readable
from tenants.models import Tenant
from vocabulary.sessions import SessionStatus


def erase_subject(deciding: Deciding, tenant: Tenant, subject_id: str) -> None:
    """Erase a subject, from this call on everywhere. Its connected clients are told that it is gone.

    Raises SubjectNotFound. After an interruption a part may be erased already; another call erases the rest.
    """
    find_subject(tenant, subject_id)
    while apply_in_batches(_ended(tenant, subject_id)):
        pass  # Most rows go in short transactions; little is left for the last one.
    while not _erase_the_rest(deciding, tenant, subject_id):
        pass  # A session was made in between; none can be made while the subject is locked.
    write_ahead_log.empty()


def erase_template(tenant: Tenant, subject_id: str, public_id: UUID) -> None:
    """Erase one template. Raises SubjectNotFound or TemplateNotFound."""
    delete_template(tenant, subject_id, public_id)
    write_ahead_log.empty()


def _erase_the_rest(deciding: Deciding, tenant: Tenant, subject_id: str) -> bool:
    """Erase all that is left in one transaction. Returns False, with nothing erased, when a session came in between."""
    with transaction.atomic():
        # Lock sessions before the subject, as deciding a session does, to avoid a deadlock.
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
    """Anonymise and expire the session. The row stays until retention deletes it."""
    try:
        flow = readable(deciding, session)
    except UnreadableHere:
        flow = None  # Erasure does not wait for another worker.
    session.subject_id = session.device_id = session.address = session.request_digest = session.checkpoint = ""
    session.display_name, session.metadata, session.idempotency_key = "", {}, None
    session.status = SessionStatus.EXPIRED
    session.save()
    if flow is not None:
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

"""Feedback on a match by a picture or a session: kept with the subject, or taken back."""

from __future__ import annotations

import uuid

from django.db import transaction

from core.types import Embedding
from gallery import binding, feedback
from gallery.feedback import Source
from gallery.matching import Gallery
from gallery.people import GalleryError, find_subject, lock_subject
from gallery.protection import Protected
from gallery.records.references import record_about
from gallery.thresholds import threshold_for
from recognition.deciding import Deciding
from recognition.models import SessionProbe
from recognition.sessions.lifecycle import find
from tenants.models import Tenant
from vocabulary.audit import AuditKind
from vocabulary.errors import ErrorCode


class NoProbe(GalleryError):
    code = ErrorCode.NO_PROBE


def probe_of(gallery: Gallery, tenant: Tenant, session_id: uuid.UUID) -> Embedding:
    """The probe by which a session matched. Raises SessionNotFound or NoProbe."""
    kept = SessionProbe.objects.filter(session=find(tenant, session_id), model_id=gallery.model_id).first()
    if kept is None:
        raise NoProbe("no probe of this session is kept: send a picture in place of session_id")
    probe: Embedding = gallery.protection.restore([Protected(bytes(kept.vector))], tenant)[0]
    return probe


def give(
    deciding: Deciding,
    gallery: Gallery,
    tenant: Tenant,
    subject_id: str,
    probe: Embedding,
    source: Source,
    *,
    correct: bool,
) -> int:
    """Keep the probe as not showing the subject, or if `correct` take back what was said of this face.

    `gallery`: the one whose embedder has made the probe. Returns how many pictures are kept as not showing the subject.
    Raises SubjectNotFound, and GalleryMoved.
    """
    with transaction.atomic():
        lock_subject(tenant, subject_id)
        tenant.lock()  # So that no move of the gallery comes in between.
        binding.check_again(tenant, gallery.model)
        subject = find_subject(tenant, subject_id)
        if correct:
            threshold = threshold_for(deciding.settings.target_fmr, 1, gallery.profile)
            kept = feedback.take_back(tenant, subject, probe, gallery.model_id, gallery.protection, threshold)
        else:
            kept = feedback.reject(tenant, subject, probe, gallery.model_id, gallery.protection, source)
        record_about(tenant, subject_id, AuditKind.FEEDBACK_GIVEN, correct=correct, rejected=kept)
        return kept

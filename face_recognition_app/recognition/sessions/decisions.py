"""Carrying out an outcome: it enrols a subject, counts a failure, and records the one decision of the session."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from audit.chain import Detail
from core.liveness.decision import Verdict
from core.liveness.policy import Policy
from database import clock
from gallery.binding import GalleryMoved
from gallery.enrolling.recording import Done, keep_and_record
from gallery.models import Renewal
from gallery.people import (
    DifferentFace,
    DuplicateFace,
    Enrolled,
    LockedSubject,
    Sample,
    display_name,
    enroll,
    lock_subject,
    note_success,
)
from gallery.records.consents import GivenConsent
from gallery.records.references import record_about, reference_of
from gallery.upkeep.adaptation import Adapted, adapt
from monitoring import metrics
from recognition.deciding import Deciding
from recognition.models import Decision, Session, SessionProbe
from recognition.sessions import known_devices, lockout, seen_frames
from recognition.sessions.lockout import LockoutKey
from recognition.sessions.state import Flow, Match, Outcome
from recognition.tokens.signing import DecisionClaims
from vocabulary.audit import AuditKind
from vocabulary.sessions import REASONS, LivenessOutcome, Reason, SessionKind, SessionStatus
from vocabulary.webhooks import EventType
from webhooks.outbox import Event, Value, note

LIVENESS_OUTCOMES = {
    Verdict.NOT_REQUIRED: LivenessOutcome.NOT_REQUIRED,
    Verdict.PASSED: LivenessOutcome.PASSED,
    Verdict.PENDING: LivenessOutcome.FAILED,
    Verdict.FAILED: LivenessOutcome.FAILED,
}
_EVENTS = {
    SessionStatus.SUCCEEDED: EventType.SESSION_SUCCEEDED,
    SessionStatus.FAILED: EventType.SESSION_FAILED,
    SessionStatus.CANCELLED: EventType.SESSION_CANCELLED,
}


@dataclass(frozen=True, slots=True)
class _TemplateChanges:
    """What a success has changed of templates."""

    enrolled: Enrolled | None = None
    adapted: Adapted | None = None


def decide_locked(
    deciding: Deciding, session: Session, flow: Flow, outcome: Outcome, *, excused: bool = False
) -> Decision:
    """Decide a locked session inside the caller's transaction, and count the result.

    `excused`: a failure is not counted, because the service caused it.
    """
    locked = lock_subject(session.tenant, session.subject_id or outcome.subject_id or "")
    replayed = seen_frames.remember(session.tenant, Policy(session.liveness), flow.seen_digests)
    lockout_key = lockout_key_of(session)
    until = lockout.locked_until(lockout_key)
    if until is not None and outcome.reason is not Reason.CANCELLED:
        return lock_out(deciding, session, flow, until, outcome.match)
    if replayed and outcome.success:
        outcome = Outcome(False, Reason.REPLAY_SUSPECTED, None, outcome.match)
    outcome, enrolled = _apply(deciding, session, flow, outcome, locked)
    adapted = None
    if outcome.success:
        if outcome.match is not None:
            adapted = _after_match(deciding, session, flow, outcome.match)
        lockout.clear_unnamed_device(lockout_key)
        known_devices.remember(session.tenant, outcome.subject_id or "", lockout_key.device)
        note_success(session.tenant, outcome.subject_id or "")
    elif until is None and not excused:
        until = lockout.count_failure(deciding.settings, lockout_key, _weight(session, flow, outcome))
        if until is not None and outcome.reason is not Reason.CANCELLED:
            return lock_out(deciding, session, flow, until, outcome.match)
    return _record(deciding, session, flow, outcome, changed=_TemplateChanges(enrolled, adapted))


def _weight(session: Session, flow: Flow, outcome: Outcome) -> float:
    """Weight of a failure. Whatever ended it, it was an attempt once something spoke against the person."""
    assert outcome.reason is not None
    if REASONS[outcome.reason].counts or flow.was_tried:
        return lockout.FULL_WEIGHT
    knew_the_challenge = session.started_at is not None and flow.liveness.challenge is not None
    return lockout.GIVEN_UP_WEIGHT if knew_the_challenge else 0.0


def lockout_key_of(session: Session) -> LockoutKey:
    return LockoutKey(session.tenant, session.subject_id, session.device_id, session.address)


def lock_out(deciding: Deciding, session: Session, flow: Flow, until: datetime, match: Match | None = None) -> Decision:
    """End a session because of too many failed attempts, in the caller's transaction."""
    return _record(deciding, session, flow, Outcome(False, Reason.ATTEMPTS_EXCEEDED, None, match), until)


def end_without_subject(deciding: Deciding, session: Session, flow: Flow) -> Decision:
    """End a session whose subject is being erased, in the caller's transaction."""
    return _record(deciding, session, flow, Outcome(False, Reason.SUBJECT_GONE, None, None))


def _apply(
    deciding: Deciding, session: Session, flow: Flow, outcome: Outcome, locked: LockedSubject
) -> tuple[Outcome, Enrolled | None]:
    """Enrol the subject or repeat the match if the outcome is a success. Returns the final outcome.

    Raises GalleryMoved when what the session has seen was embedded for the gallery as it was before a move.
    """
    if not outcome.success:
        return outcome, None
    if deciding.gallery_of(session.tenant).model_id != deciding.gallery_with(flow.model_id).model_id:
        raise GalleryMoved
    if session.kind == SessionKind.ENROLLMENT:
        return _enroll(deciding, session, flow, outcome, locked)
    if _still_matches(deciding, session, flow, outcome):
        return outcome, None
    return Outcome(False, Reason.SUBJECT_GONE, None, outcome.match), None


def _still_matches(deciding: Deciding, session: Session, flow: Flow, outcome: Outcome) -> bool:
    """Whether the present templates still match: the matched ones may have been erased since the probe was taken."""
    if outcome.match is None:
        return False
    match, gallery = outcome.match, deciding.gallery_with(flow.model_id)
    again = gallery.verify_again(session.tenant, match.subject_id, flow.matched_embedding, match.threshold)
    return again is not None and again.matches


def _after_match(deciding: Deciding, session: Session, flow: Flow, match: Match) -> Adapted | None:
    """Keep the probe for feedback, and by the tenant's policy as a template. The session was a success."""
    probe, gallery = flow.matched_embedding, deciding.gallery_with(flow.model_id)
    if deciding.settings.retain_probes_hours:
        (vector,) = gallery.protection.protect([probe], session.tenant)
        SessionProbe.objects.create(
            session=session,
            tenant=session.tenant,
            model_id=gallery.model_id,
            vector=vector,
            kept_at=clock.in_query(),
        )
    if flow.liveness.verdict is Verdict.PASSED and not flow.covered_faces:
        return adapt(session.tenant, match.subject_id, probe, gallery, deciding.rules)
    return None


def _enroll(
    deciding: Deciding, session: Session, flow: Flow, outcome: Outcome, locked: LockedSubject
) -> tuple[Outcome, Enrolled | None]:
    samples = [Sample(sample.embedding, sample.quality, sample.picture) for sample in flow.samples]
    try:
        with transaction.atomic():
            return outcome, enroll(
                locked,
                samples,
                deciding.gallery_with(flow.model_id),
                deciding.rules,
                session.display_name,
                Renewal(session.renewal),
                limited=False,  # There was room when the session began.
            )
    except DuplicateFace as error:
        return Outcome(False, Reason.DUPLICATE_FACE, None, None, error.other.subject_id), None
    except DifferentFace:
        return Outcome(False, Reason.SUBJECT_EXISTS, None, None), None


def _record(
    deciding: Deciding,
    session: Session,
    flow: Flow,
    outcome: Outcome,
    locked_until: datetime | None = None,
    changed: _TemplateChanges = _TemplateChanges(),
) -> Decision:
    liveness = LIVENESS_OUTCOMES[flow.liveness.verdict]
    claims = DecisionClaims(
        session=str(session.pk),
        tenant=session.tenant.name,
        kind=session.kind,
        nonce=uuid.uuid4().hex,
        outcome="success" if outcome.success else "failure",
        subject=outcome.subject_id,
        liveness=liveness,
        reason=outcome.reason,
        models=deciding.digests_with(deciding.gallery_with(flow.model_id)),
    )
    decision = Decision.objects.create(
        session=session,
        tenant=session.tenant,
        success=outcome.success,
        subject_id=outcome.subject_id or "",
        similarity=outcome.match.similarity if outcome.match else None,
        threshold=outcome.match.threshold if outcome.match else None,
        liveness=liveness,
        reason=outcome.reason or "",
        locked_until=locked_until,
        attempts_left=None if outcome.success else lockout.attempts_left(deciding.settings, lockout_key_of(session)),
        duplicate_of=outcome.duplicate_of,
        evidence=flow.evidence(),
        token=deciding.signer.sign_decision(claims, deciding.settings.decision_token_ttl_s),
    )
    decision.measure_lock()
    decision.display_name = display_name(session.tenant, decision.subject_id)
    session.status = _status_after(outcome)
    session.checkpoint = session.address = session.display_name = ""
    session.save(update_fields=["status", "checkpoint", "address", "display_name", "retell_until"])
    _record_events(session, flow, outcome, liveness, changed)
    transaction.on_commit(metrics.decisions.labels(session.kind, claims.outcome, claims.reason or "").inc)
    return decision


def _record_events(
    session: Session, flow: Flow, outcome: Outcome, liveness: LivenessOutcome, changed: _TemplateChanges
) -> None:
    """Record the decision, and the enrolment that it was: the last locks of the transaction."""
    if changed.enrolled is not None:
        keep_and_record(session.tenant, [Done(changed.enrolled, GivenConsent.from_json(session.consent))])
    duplicate_of = reference_of(session.tenant, outcome.duplicate_of)
    details: dict[str, Detail] = {
        "session": str(session.pk),
        "session_kind": session.kind,
        "begun_by": session.begun_by,
        "success": outcome.success,
        "reason": outcome.reason,
        "liveness": str(liveness),
    }
    if duplicate_of is not None:
        details["duplicate_of"] = duplicate_of.hex
    if changed.adapted is not None:
        details |= {"adaptive_template": str(changed.adapted.template), "replaced": changed.adapted.replaced}
    record_about(session.tenant, outcome.subject_id or session.subject_id, AuditKind.DECIDED, **details)
    _note_end(session, outcome)


def _note_end(session: Session, outcome: Outcome) -> None:
    """Tell of the decision. `subject_id` is who was recognised or enrolled, or else who was claimed."""
    subject_id = outcome.subject_id or session.subject_id
    told = _told_of(session, subject_id) | {"success": outcome.success, "reason": outcome.reason}
    note(session.tenant, Event(_EVENTS[SessionStatus(session.status)], told, subject_id))


def note_expiry(session: Session) -> None:
    """Tell of a session that ends without a decision, in the transaction that ends it."""
    transaction.on_commit(metrics.expired.labels(session.kind).inc)
    note(session.tenant, Event(EventType.SESSION_EXPIRED, _told_of(session, session.subject_id), session.subject_id))


def _told_of(session: Session, subject_id: str) -> dict[str, Value]:
    return {"session_id": str(session.pk), "kind": session.kind, "subject_id": subject_id or None}


def _status_after(outcome: Outcome) -> SessionStatus:
    if outcome.success:
        return SessionStatus.SUCCEEDED
    return SessionStatus.CANCELLED if outcome.reason is Reason.CANCELLED else SessionStatus.FAILED

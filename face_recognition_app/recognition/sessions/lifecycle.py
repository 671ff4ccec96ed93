"""A session's life in the database: created, owned by one connection, checkpointed, decided once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction

from audit import actor as actors
from config.secret import secret_key
from core.liveness.actions import NEWEST_VERSION
from database import clock, outages
from gallery import binding
from gallery.models import Renewal
from gallery.people import check_subject_id, ensure_room, find_subject, lock_subject
from gallery.records.consents import GivenBy, GivenConsent, check_consent
from monitoring import metrics
from recognition.deciding import Deciding
from recognition.models import OPEN_STATUSES, Decision, Session
from recognition.sessions import checkpoints, lockout
from recognition.sessions.addresses import address_digest
from recognition.sessions.checkpoints import UnreadableHere
from recognition.sessions.decisions import decide_locked, lock_out, lockout_key_of, note_expiry
from recognition.sessions.lease import AlreadyDecided, Lease, SessionError, SessionNotFound, decision_on
from recognition.sessions.lockout import LockoutKey
from recognition.sessions.state import CANCELLATION, Flow, Outcome
from recognition.sessions.terms import ChallengeTerms, LivenessRequest, check_client, new_challenge_id, resolve_terms
from tenants.keys import token_hash
from tenants.models import Tenant
from vocabulary.errors import ErrorCode
from vocabulary.sessions import Purpose, Reason, SessionKind, SessionStatus

logger = logging.getLogger(__name__)

EXPIRED_AT_ONCE = 100
RETOLD_FOR = timedelta(minutes=1)
NEWER_VERSION_GRACE = timedelta(hours=1)
"""How long an overdue session waits for a worker of the newer version that wrote its checkpoint. Longer than an update
takes; bounded because no such worker comes after a step back to an older version."""
_OUT_OF_TIME = frozenset({Reason.TIMEOUT, Reason.LIVENESS_TIMEOUT, Reason.CONNECTION_TOO_SLOW})


class TokenInvalid(SessionError):
    code = ErrorCode.SESSION_OVER


class IdempotencyConflict(SessionError):
    code = ErrorCode.IDEMPOTENCY_CONFLICT


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a backend asks for; `subject_id` is empty for an identification.

    `by`: the page asks for its visitors, whom it tells that no picture is kept.
    """

    kind: SessionKind
    subject_id: str
    liveness_request: LivenessRequest
    target_samples: int
    device_id: str
    metadata: dict[str, Any]
    display_name: str = ""
    renewal: Renewal = Renewal.NONE
    consent: GivenConsent | None = None
    by: GivenBy = "rest"

    def digest(self) -> str:
        content = [
            self.kind.value,
            self.subject_id,
            self.liveness_request.liveness,
            sorted(self.liveness_request.avoid),
            self.liveness_request.challenge_version,
            self.target_samples,
            self.device_id,
            self.metadata,
            # Without a name, a renewal and a consent the digest is that of versions that knew none.
            *([self.display_name] if self.display_name or self.renewal is not Renewal.NONE else []),
            *([self.renewal.value] if self.renewal is not Renewal.NONE else []),
            *([self.consent.as_json()] if self.consent else []),
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Created(NamedTuple):
    """`flow` is the state stored in the session's row; None when the session is over."""

    session: Session
    flow: Flow | None


def create(deciding: Deciding, tenant: Tenant, request: SessionRequest, idempotency_key: str | None) -> Created:
    """Make a session, or return the one that the same key made before.

    Raises InvalidSubjectId, SubjectNotFound, TooManyTemplates, ConsentRequired, IdempotencyConflict, UnreadableHere or
    a Refusal.
    """
    key = token_hash(idempotency_key) if idempotency_key else None
    existing = _find_by_idempotency_key(tenant, key)
    if existing is None:
        _check_subject(tenant, request)
        terms = resolve_terms(tenant, request.liveness_request)
        lockout.ensure_free(LockoutKey(tenant, request.subject_id, request.device_id))
        try:
            with transaction.atomic():
                # An erasure at the same time must find every session of the subject, or no more may be made.
                lock_subject(tenant, request.subject_id)
                _check_subject(tenant, request)
                return _insert(deciding, tenant, request, terms, key)
        except IntegrityError:  # The same key, in the same moment.
            existing = Session.objects.get(tenant=tenant, idempotency_key=key)
    if existing.request_digest != request.digest():
        raise IdempotencyConflict("this Idempotency-Key was used with another request")
    return Created(existing, _flow_of(deciding, existing) if existing.checkpoint else None)


def _check_subject(tenant: Tenant, request: SessionRequest) -> None:
    if request.kind is not SessionKind.IDENTIFICATION:
        check_subject_id(request.subject_id)
    if request.kind is SessionKind.AUTHENTICATION:
        find_subject(tenant, request.subject_id)
    if request.kind is SessionKind.ENROLLMENT:
        check_consent(tenant, request.subject_id, request.consent)
        if request.renewal is Renewal.NONE:
            ensure_room(tenant, request.subject_id, request.target_samples)


def _find_by_idempotency_key(tenant: Tenant, key: str | None) -> Session | None:
    return Session.objects.filter(tenant=tenant, idempotency_key=key).first() if key else None


def token_of(deciding: Deciding, session: Session) -> str:
    """The session's token. It is derived from the server's secret, so only its hash needs to be stored."""
    secret = secret_key(deciding.settings).encode()
    digest = hmac.digest(secret, b"session-token:" + session.id.bytes, "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def find(tenant: Tenant, session_id: uuid.UUID) -> Session:
    try:
        return Session.objects.select_related("tenant").get(tenant=tenant, pk=session_id)
    except Session.DoesNotExist as error:
        raise SessionNotFound(f"there is no session {session_id}") from error


def find_by_token(token: str) -> Session | None:
    """The session of a token, which says itself whose it is."""
    return Session.across_tenants.select_related("tenant").filter(token_hash=token_hash(token)).first()


def connect(deciding: Deciding, session: Session, challenge_version: int = NEWEST_VERSION, host: str = "") -> Lease:
    """Take the session over: earlier connections can no longer decide it. `host` is the client's address, if known.

    Raises SessionNotFound when the session was deleted, TokenInvalid when it is over, UnreadableHere when only another
    worker can go on, ChallengeUnsupported when the client cannot show the challenge and AttemptsExceeded when the
    session has to wait (then nothing happened), and AlreadyDecided when a lock set since its creation ends it, or when
    it is over and its client may not have heard so.
    """
    session = expire_if_due(deciding, session)
    with transaction.atomic():
        session = _locked(session)
        if session.status not in OPEN_STATUSES:
            raise _over(session)
        flow = _flow_of(deciding, session)
        if flow.liveness.challenge is not None:
            check_client(challenge_version, flow.liveness.challenge)
        session.address = address_digest(deciding.settings, host) or session.address
        lockout_key = lockout_key_of(session)
        until = lockout.locked_until(lockout_key, lockout.SESSION_ENDING)
        if until is None:
            if session.started_at is None:
                lockout.ensure_free(lockout_key)
            return _take_over(deciding, session, flow)
        decision = lock_out(deciding, session, flow, until)
    raise AlreadyDecided(decision)


def _over(session: Session) -> SessionError:
    may_be_told = session.retell_until is not None and clock.now() < session.retell_until
    decision = decision_on(session) if may_be_told else None
    return TokenInvalid("the session is over") if decision is None else AlreadyDecided(decision, again=True)


def note_told(token: str) -> None:
    """Note that the client has heard the decision, if there is one: its token is used."""
    Session.across_tenants.filter(token_hash=token_hash(token), retell_until__isnull=False).update(retell_until=None)


def _take_over(deciding: Deciding, session: Session, flow: Flow) -> Lease:
    now, resumed = clock.now(), session.started_at is not None
    if session.started_at is None:
        session.started_at = now
        session.expires_at = session.started_at + timedelta(seconds=_time_limit_s(deciding, session))
    session.lease_number += 1
    session.status = SessionStatus.IN_PROGRESS
    lease = Lease.at(
        now, session, flow, deciding.gallery.protection, resumed=resumed
    )  # Before the row is saved, which may have to wait.
    session.save(update_fields=["started_at", "expires_at", "lease_number", "status", "address"])
    return lease


def connect_by_token(deciding: Deciding, token: str, challenge_version: int = NEWEST_VERSION, host: str = "") -> Lease:
    """Find the session by its token, do as `connect`, and count the attempts that are left, for the greeting."""
    session = find_by_token(token)
    if session is None:
        raise TokenInvalid("the token is unknown")
    with actors.acting(actors.client_of(session.pk)):
        lease = connect(deciding, session, challenge_version, host)
    lease.by_token = True
    lease.attempts_left = lockout.attempts_left(deciding.settings, lockout_key_of(lease.session))
    return lease


def decide(deciding: Deciding, lease: Lease, outcome: Outcome) -> Decision:
    """Record the one decision of the session and its consequences in one transaction.

    Raises Superseded, AlreadyDecided or SessionNotFound; then nothing happened.
    """
    if outcome.success and lease.session.kind == SessionKind.ENROLLMENT:
        gallery = deciding.gallery_with(lease.flow.model_id)
        gallery.store.refresh(lease.session.tenant)  # Before the locks, for which others wait.
    with transaction.atomic():
        session = _locked(lease.session)
        if session.status not in OPEN_STATUSES or session.lease_number != lease.number:
            raise lease.loss()
        session.retell_until = clock.now() + RETOLD_FOR if lease.by_token else None
        return decide_locked(deciding, session, lease.flow, outcome, excused=_was_held_up(lease, outcome))


def _was_held_up(lease: Lease, outcome: Outcome) -> bool:
    """Whether the session timed out and the database was unavailable for part of it: the person did not fail."""
    lasted_ms = lease.elapsed_ms + 1  # It was rounded down.
    return outcome.reason in _OUT_OF_TIME and outages.watch.seen_within(lasted_ms / 1000)


def expire_if_due(deciding: Deciding, session: Session) -> Session:
    """Decide or expire the session if its time limit has passed. Returns it as it is then.

    Raises UnreadableHere when another worker must decide it; then nothing happened.
    """
    if session.status not in OPEN_STATUSES or (now := clock.now()) < session.expires_at:
        return session
    flow = None if session.status == SessionStatus.CREATED else _flow_at_the_end(deciding, session, now)
    if flow is None:
        _expire(session)
    else:
        abandoned = Lease.at(now, session, flow, deciding.gallery.protection, resumed=True)
        with suppress(SessionError):  # A decision or takeover that came first stands.
            decide(deciding, abandoned, flow.time_is_up())
    return find(session.tenant, session.pk)


def _expire(session: Session) -> None:
    """End the session without a decision, unless somebody has changed it meanwhile."""
    with transaction.atomic():
        same = Session.objects.filter(tenant=session.tenant_id, pk=session.pk, status=session.status)
        if same.update(status=SessionStatus.EXPIRED, checkpoint="", address="", display_name=""):
            note_expiry(session)


def _flow_at_the_end(deciding: Deciding, session: Session, now: datetime) -> Flow | None:
    """The session's flow; None when unreadable, or when nobody came in time who can read it.

    Raises UnreadableHere, and SessionNotFound when it was deleted.
    """
    try:
        return readable(deciding, session)
    except UnreadableHere as error:
        find(session.tenant, session.pk)  # The secret may be gone because the tenant is.
        if now < session.expires_at + NEWER_VERSION_GRACE:
            raise
        logger.error("session %s expires without a decision: %s", session.pk, error)
        return None


def readable(deciding: Deciding, session: Session) -> Flow | None:
    """The session's flow; None when no version of the service can have written it. Raises UnreadableHere."""
    try:
        return _flow_of(deciding, session)
    except ValueError:
        logger.exception("session %s cannot be read; it expires without a decision", session.pk)
        return None


def _flow_of(deciding: Deciding, session: Session) -> Flow:
    """The session's flow, begun anew when its embedder is not the one that serves the tenant now."""
    flow = checkpoints.read(session, deciding.gallery.protection)
    gallery = deciding.gallery_of(session.tenant)
    made_with = flow.model_id or _only_model(session.tenant)
    if made_with == gallery.model_id:
        flow.model_id = made_with
    else:
        flow.begin_anew(gallery.model_id, gallery.profile)
    return flow


def _only_model(tenant: Tenant) -> str:
    """The embedder of a checkpoint that names none: an older version wrote it, which had the gallery's only."""
    bound = binding.model_of(tenant)
    return "" if bound is None else bound.model_id


def expire_overdue(deciding: Deciding) -> int:
    """Decide or expire up to EXPIRED_AT_ONCE overdue sessions of all tenants; returns their number.

    Sessions that another worker must decide are left. They do not delay others: the newest sessions come first.
    """
    open_ones = Session.across_tenants.select_related("tenant").filter(status__in=OPEN_STATUSES)
    overdue = open_ones.filter(expires_at__lt=clock.in_query()).order_by("-expires_at")[:EXPIRED_AT_ONCE]
    left = 0
    for session in overdue:
        try:
            expire_if_due(deciding, session)
        except SessionNotFound:
            pass  # It was deleted meanwhile.
        except UnreadableHere:
            left += 1
    if left:
        logger.warning("%d sessions are over time and left to workers that can read them", left)
    return len(overdue) - left


def cancel(deciding: Deciding, session: Session) -> Session:
    """End an open session, also while a client is connected. Leaves a session that is over. Raises UnreadableHere."""
    session = expire_if_due(deciding, session)
    with transaction.atomic():
        session = _locked(session)
        if session.status in OPEN_STATUSES:
            decide_locked(deciding, session, _flow_of(deciding, session), CANCELLATION)
    return session


def _insert(
    deciding: Deciding, tenant: Tenant, request: SessionRequest, terms: ChallengeTerms, key: str | None
) -> Created:
    settings, gallery = deciding.settings, deciding.gallery_of(tenant)
    session = Session(
        tenant=tenant,
        kind=request.kind,
        subject_id=request.subject_id,
        liveness=terms.liveness,
        target_samples=request.target_samples,
        device_id=request.device_id,
        metadata=request.metadata,
        display_name=request.display_name,
        renewal=request.renewal,
        consent=None if request.consent is None else request.consent.as_json(),
        begun_by=actors.current.get().origin,
        idempotency_key=key,
        request_digest=request.digest(),
        expires_at=clock.now() + timedelta(seconds=settings.token_ttl_s),
    )
    flow = Flow.begin(
        Purpose(request.kind),
        request.subject_id or None,
        terms.liveness,
        new_challenge_id(request.liveness_request.challenge_version),
        request.target_samples,
        settings.no_match_frames,
        terms.steps,
        terms.allowed,
        covered_faces=tenant.covered_faces,
        keeps_pictures=tenant.picture_days > 0 and request.by == "rest",
        profile=gallery.profile,
        model_id=gallery.model_id,
    )
    session.token_hash = token_hash(token_of(deciding, session))
    session.checkpoint = checkpoints.write(flow, session, deciding.gallery.protection)
    session.save(force_insert=True)
    transaction.on_commit(metrics.sessions.labels(session.kind).inc)
    return Created(session, flow)


def _time_limit_s(deciding: Deciding, session: Session) -> float:
    enrolling = session.kind == SessionKind.ENROLLMENT
    settings = deciding.settings
    return settings.enrollment_time_limit_s if enrolling else settings.recognition_time_limit_s


def _locked(session: Session) -> Session:
    """The row as it is now, locked until the transaction ends. Raises SessionNotFound."""
    try:
        rows = Session.objects.select_for_update(of=("self",)).select_related("tenant")
        return rows.get(tenant=session.tenant_id, pk=session.pk)
    except Session.DoesNotExist as error:
        raise SessionNotFound("the session was deleted") from error

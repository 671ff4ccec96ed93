"""Sessions over REST: create, read, cancel, and frames for clients without a WebSocket."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Annotated

from django.http import HttpRequest
from ninja import Header, Router, Status

from audit import actor as actors
from config.durations import whole_seconds
from core.imaging.frames import read_header
from core.liveness.policy import Policy
from gallery.records.consents import GivenBy
from gallery.records.references import record_duplicate, record_reading
from logs import context
from recognition.api.auth import Caller, caller, needs, needs_or_session
from recognition.api.errors import ApiError
from recognition.api.openapi.document import A_PICTURE, raises
from recognition.api.people.subjects import renewal_of
from recognition.api.schemas import CreatedSession, DecisionDetail, NewSession, SessionDetail
from recognition.api.uploads import ONE_IMAGE, one_image
from recognition.deciding import Deciding
from recognition.models import Decision, Session
from recognition.sessions import lifecycle
from recognition.sessions.lease import AlreadyDecided, Lease, SessionNotFound, decision_on
from recognition.sessions.terms import LivenessRequest
from recognition.streaming.answers import challenge_info, session_complete
from recognition.streaming.pipeline import SessionStream
from recognition.worker import of_request
from scheduling.executor import FrameFailed
from scheduling.frame_slot import FrameSlot
from tenants.models import Tenant
from tenants.scopes import Scope
from vocabulary.audit import AuditKind
from vocabulary.errors import ErrorCode
from vocabulary.sessions import LivenessOutcome, Reason, SessionKind, SessionStatus
from wire.inbound import Frame
from wire.messages import FrameProcessed, SessionComplete

router = Router(tags=["sessions"], auth=needs(Scope.SESSIONS))
MAX_IDEMPOTENCY_KEY = 255


@router.post("", response={201: CreatedSession}, summary="Begin a session")
@raises(
    ErrorCode.INVALID_SUBJECT_ID,
    ErrorCode.SUBJECT_NOT_FOUND,
    ErrorCode.IDEMPOTENCY_CONFLICT,
    ErrorCode.ATTEMPTS_EXCEEDED,
    ErrorCode.POLICY_TOO_WEAK,
    ErrorCode.CHALLENGE_IMPOSSIBLE,
    ErrorCode.TOO_MANY_TEMPLATES,
    ErrorCode.CONSENT_REQUIRED,
)
async def create_session(
    request: HttpRequest,
    new: NewSession,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=MAX_IDEMPOTENCY_KEY)] = None,
) -> Status[CreatedSession]:
    who = caller(request)
    if new.replace and Scope.SUBJECTS not in who.scopes:
        raise ApiError(
            ErrorCode.SCOPE_MISSING, f"replace needs the scope {Scope.SUBJECTS}", {"needs": [Scope.SUBJECTS]}
        )
    return Status(201, await begin(request, who.tenant, new, idempotency_key))


@router.get(
    "{uuid:session_id}/",
    response=SessionDetail,
    auth=needs(Scope.SESSIONS, Scope.READ),
    summary="State and result",
)
@raises(ErrorCode.SESSION_NOT_FOUND)
async def read_session(request: HttpRequest, session_id: uuid.UUID) -> SessionDetail:
    worker = of_request(request)
    return await worker.database.run(_read, worker.deciding, caller(request), session_id)


@router.delete("{uuid:session_id}/", response=SessionDetail, summary="Cancel")
@raises(ErrorCode.SESSION_NOT_FOUND)
async def cancel_session(request: HttpRequest, session_id: uuid.UUID) -> SessionDetail:
    worker = of_request(request)
    return await worker.database.run(_cancel, worker.deciding, caller(request), session_id)


@router.post(
    "{uuid:session_id}/frames/",
    response=FrameProcessed | SessionComplete,
    auth=needs_or_session(Scope.SESSIONS),
    openapi_extra=ONE_IMAGE,
    summary="One frame, for clients without a WebSocket; also with the session's token",
)
@raises(
    *A_PICTURE,
    ErrorCode.SESSION_NOT_FOUND,
    ErrorCode.SESSION_OVER,
    ErrorCode.REPLACED,
    ErrorCode.ATTEMPTS_EXCEEDED,
)
async def add_frame(request: HttpRequest, session_id: uuid.UUID) -> FrameProcessed | SessionComplete:
    who = caller(request)
    if who.session_id not in (None, session_id):
        raise SessionNotFound(f"there is no session {session_id}")
    data = await one_image(request)
    worker = of_request(request)
    # Checked before connecting: bad bytes must not take the session from its current connection.
    await asyncio.to_thread(read_header, data, worker.limits)
    try:
        lease = await worker.database.run(_connect, worker.deciding, who.tenant, session_id, _client_host(request, who))
    except AlreadyDecided as error:
        return session_complete(error.decision)
    stream = SessionStream(worker, lease)
    frame = Frame(lease.flow.frames + 1, data, time.monotonic())
    slot = FrameSlot()
    slot.offer(frame)
    try:
        answers = await stream.process(slot, keep_everything=True)
    except FrameFailed as failed:
        raise failed.error from None
    answer = answers.complete or answers.processed
    assert answer is not None
    return answer


async def begin(
    request: HttpRequest,
    tenant: Tenant,
    new: NewSession,
    idempotency_key: str | None = None,
    by: GivenBy = "rest",
) -> CreatedSession:
    """Create a session of `tenant`; returns the API's answer. Also serves the demo. `by`: who asks."""
    worker = of_request(request)
    asked = lifecycle.SessionRequest(
        kind=new.kind,
        subject_id=new.subject_id or "",
        liveness_request=LivenessRequest(new.liveness, frozenset(new.avoid), new.challenge_version),
        target_samples=new.target_samples or worker.settings.enrollment_samples,
        device_id=new.device_id or "",
        metadata=new.metadata,
        display_name=new.display_name,
        renewal=renewal_of(replace=new.replace, allow_different_face=new.allow_different_face),
        consent=None if new.consent is None else new.consent.given(by),
        by=by,
    )
    context.tenant.set(tenant.pk)
    session, flow = await worker.database.run(lifecycle.create, worker.deciding, tenant, asked, idempotency_key)
    context.session.set(str(session.pk))
    token = lifecycle.token_of(worker.deciding, session)
    return CreatedSession(
        id=session.id,
        token=token,
        websocket_url=f"{_socket_base(request)}/ws/auth/process-image/{token}/",
        expires_at=session.expires_at,
        status=SessionStatus(session.status),
        challenge=None if flow is None else challenge_info(flow),
    )


def _socket_base(request: HttpRequest) -> str:
    """Scheme, host and prefix of the sockets: of FACE_PUBLIC_URL, or of the request."""
    public_url = of_request(request).settings.public_url
    if public_url is not None:
        return f"{public_url.socket_scheme}://{public_url.address}{public_url.prefix}"
    return f"{'wss' if request.is_secure() else 'ws'}://{request.get_host()}"


def _client_host(request: HttpRequest, who: Caller) -> str:
    """The client's address; empty for a backend, which forwards the frames of many clients from its own."""
    return "" if who.session_id is None else str(request.META.get("REMOTE_ADDR", ""))


def _connect(deciding: Deciding, tenant: Tenant, session_id: uuid.UUID, host: str) -> Lease:
    return lifecycle.connect(deciding, lifecycle.find(tenant, session_id), host=host)


def _read(deciding: Deciding, who: Caller, session_id: uuid.UUID) -> SessionDetail:
    return _told(lifecycle.expire_if_due(deciding, lifecycle.find(who.tenant, session_id)), who)


def _cancel(deciding: Deciding, who: Caller, session_id: uuid.UUID) -> SessionDetail:
    return _told(lifecycle.cancel(deciding, lifecycle.find(who.tenant, session_id)), who)


def _told(session: Session, who: Caller) -> SessionDetail:
    """The session's detail, recorded as read unless it has nothing but what the caller itself asked for."""
    detail = _detail(session, who)
    decision = detail.decision
    if decision is not None or session.begun_by != actors.current.get().origin:
        subject_id = (decision and decision.subject_id) or session.subject_id
        record_reading(who.tenant, subject_id, AuditKind.SESSION_READ, session=str(session.pk))
    if decision is not None and decision.duplicate_of is not None:
        record_duplicate(who.tenant, session.subject_id, decision.duplicate_of)
    return detail


def _detail(session: Session, who: Caller) -> SessionDetail:
    decision = decision_on(session)
    return SessionDetail(
        id=session.id,
        kind=SessionKind(session.kind),
        subject_id=session.subject_id or None,
        liveness=Policy(session.liveness),
        target_samples=session.target_samples,
        device_id=session.device_id or None,
        metadata=session.metadata,
        status=SessionStatus(session.status),
        created_at=session.created_at,
        expires_at=session.expires_at,
        decision=_decision(session, decision, who) if decision else None,
        decision_token=decision.token if decision else None,
    )


def _decision(session: Session, decision: Decision, who: Caller) -> DecisionDetail:
    wait_ms = decision.retry_after_ms
    compares = session.kind != SessionKind.ENROLLMENT
    return DecisionDetail(
        subject_id=decision.subject_id or None,
        display_name=decision.display_name or None,
        matched=decision.success if compares else None,
        similarity=decision.similarity,
        threshold=decision.threshold,
        liveness=LivenessOutcome(decision.liveness),
        reasons=[Reason(decision.reason)] if decision.reason else [],
        retry_after_s=None if wait_ms is None else whole_seconds(wait_ms),
        duplicate_of=(decision.duplicate_of or None) if who.reads_subjects else None,
        evidence=decision.evidence,
    )

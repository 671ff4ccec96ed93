"""Conversion of a session's state to messages of the protocol."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from core.features.values import Quality
from core.liveness.policy import Policy
from core.types import Box
from recognition.models import Decision
from recognition.sessions.state import Flow, Observation
from recognition.worker import Worker
from vocabulary.faces import Guidance
from vocabulary.sessions import LivenessOutcome, Purpose, Reason, SessionKind, SessionStatus
from wire.codes import GUIDANCE_MESSAGES
from wire.errors import WireError
from wire.messages import (
    ChallengeInfo,
    ChallengeStep,
    ConnectionEstablished,
    ErrorMessage,
    FaceBox,
    FrameProcessed,
    FrameQuality,
    GuidanceInfo,
    Limits,
    LivenessProgress,
    Pacing,
    SampleProgress,
    SessionComplete,
    TargetPacing,
)


def challenge_info(flow: Flow) -> ChallengeInfo | None:
    challenge = flow.liveness.challenge
    if challenge is None:
        return None
    return ChallengeInfo(id=challenge.id, steps=[ChallengeStep(action=action) for action in challenge.actions])


def connection_established(
    worker: Worker,
    flow: Flow,
    session_id: str,
    status: str,
    expires_at: datetime,
    *,
    resumed: bool,
    attempts_left: int | None,
) -> ConnectionEstablished:
    settings = worker.settings
    return ConnectionEstablished(
        session_id=session_id,
        kind="sandbox" if flow.purpose is Purpose.SANDBOX else SessionKind(flow.purpose),
        status=SessionStatus(status),
        expires_at=expires_at,
        limits=Limits(max_frame_bytes=settings.max_image_bytes, max_pixels=settings.max_image_pixels),
        pacing=Pacing(target_fps=worker.target_fps),
        challenge=challenge_info(flow),
        resumed=resumed,
        attempts_left=attempts_left,
    )


def frame_processed(
    flow: Flow,
    seen: Observation,
    seq: int,
    target_fps: int,
    dropped: int,
    processing_ms: float,
    remaining_ms: int,
) -> FrameProcessed:
    code = flow.guidance(seen.quality)
    return FrameProcessed(
        seq=seq,
        face=None if seen.box is None else face_box(seen.box),
        quality=frame_quality(seen.quality),
        liveness=_liveness(flow, seen.fingerprint.at_ms, remaining_ms),
        samples=_samples(flow),
        guidance=GuidanceInfo(code=code, message=GUIDANCE_MESSAGES[code]),
        pacing=TargetPacing(target_fps=target_fps),
        dropped=dropped,
        processing_ms=round(processing_ms, 1),
    )


def session_complete(decision: Decision) -> SessionComplete:
    return SessionComplete(
        type=f"{decision.session.kind}_complete",
        success=decision.success,
        subject_id=decision.subject_id or None,
        display_name=decision.display_name or None,
        liveness=LivenessOutcome(decision.liveness),
        reason=Reason(decision.reason) if decision.reason else None,
        decision_token=decision.token,
        retry_after_ms=decision.retry_after_ms,
        attempts_left=decision.attempts_left,
    )


def error_message(error: WireError, seq: int | None = None) -> ErrorMessage:
    return ErrorMessage(
        code=error.code,
        message=error.message,
        retryable=error.retryable,
        retry_after_ms=error.retry_after_ms,
        seq=seq,
    )


def frame_quality(quality: Quality) -> FrameQuality:
    return FrameQuality(score=quality.score, issues=list(quality.issues))


def face_box(box: Box) -> FaceBox:
    """The box cut to the frame."""
    left, top = min(1.0, max(0.0, box.x)), min(1.0, max(0.0, box.y))
    right, bottom = min(1.0, max(left, box.x + box.width)), min(1.0, max(top, box.y + box.height))
    return FaceBox(x=round(left, 4), y=round(top, 4), width=round(right - left, 4), height=round(bottom - top, 4))


def _liveness(flow: Flow, at_ms: int, remaining_ms: int) -> LivenessProgress | None:
    liveness, challenge = flow.liveness, flow.liveness.challenge
    if liveness.policy is Policy.NONE:
        return None
    passive: Literal["pending", "passed", "failed"] = "pending"
    if liveness.failure is not None:
        passive = "failed"
    elif liveness.passive_passed:
        passive = "passed"
    return LivenessProgress(
        passive=passive,
        step=challenge.current if challenge else None,
        steps_done=liveness.steps_done,
        steps_total=liveness.steps_total,
        instruction=Guidance(liveness.instruction) if liveness.instruction else None,
        progress=liveness.reached,
        remaining_ms=remaining_ms,
        step_remaining_ms=challenge.step_remaining_ms(at_ms) if challenge else None,
        light=challenge.colour if challenge else None,
    )


def _samples(flow: Flow) -> SampleProgress | None:
    if flow.purpose is not Purpose.ENROLLMENT:
        return None
    return SampleProgress(accepted=len(flow.samples), target=flow.target_samples)

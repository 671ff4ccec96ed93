"""Kind, purpose, status, liveness outcome and failure reasons of a session, and places of a lockout."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class SessionKind(StrEnum):
    ENROLLMENT = "enrollment"
    AUTHENTICATION = "authentication"
    IDENTIFICATION = "identification"


class Purpose(StrEnum):
    """Kind of a session, or a sandbox, which has no row and decides nothing."""

    ENROLLMENT = SessionKind.ENROLLMENT
    AUTHENTICATION = SessionKind.AUTHENTICATION
    IDENTIFICATION = SessionKind.IDENTIFICATION
    SANDBOX = "sandbox"


class SessionStatus(StrEnum):
    CREATED = "created"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class LivenessOutcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    NOT_REQUIRED = "not_required"


class Reason(StrEnum):
    """Why a session did not succeed."""

    NO_MATCH = "no_match"
    LIVENESS_TIMEOUT = "liveness_timeout"
    SPOOF_SUSPECTED = "spoof_suspected"
    FACE_CHANGED = "face_changed"
    CONNECTION_TOO_SLOW = "connection_too_slow"
    WRONG_ACTION = "wrong_action"
    STREAM_FROZEN = "stream_frozen"
    STREAM_REPEATED = "stream_repeated"
    CAMERA_CHANGED = "camera_changed"
    REPLAY_SUSPECTED = "replay_suspected"
    DUPLICATE_FACE = "duplicate_face"
    SUBJECT_EXISTS = "subject_exists"
    SUBJECT_GONE = "subject_gone"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    ATTEMPTS_EXCEEDED = "attempts_exceeded"


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Meaning of a reason. `counts`: whether it is a failed attempt, because somebody was seen to try."""

    meaning: str
    counts: bool


_R = Reason
REASONS: dict[Reason, WhyNot] = {
    _R.NO_MATCH: WhyNot("The face is not the claimed person's, or nobody's who is enrolled.", True),
    _R.LIVENESS_TIMEOUT: WhyNot("A face was seen for as long as proof takes, and no proof of life came.", True),
    _R.SPOOF_SUSPECTED: WhyNot("The picture looks like a photograph or a screen.", True),
    _R.FACE_CHANGED: WhyNot("Another face came into the stream.", True),
    _R.WRONG_ACTION: WhyNot("Something else was done than what was asked, too often.", True),
    _R.STREAM_REPEATED: WhyNot("Frames or movements came again, as in a recording that is played in a loop.", True),
    _R.CAMERA_CHANGED: WhyNot("The frames changed their shape: another camera, or no camera, took over.", True),
    _R.REPLAY_SUSPECTED: WhyNot("Frames of this session were sent in an earlier session.", True),
    _R.DUPLICATE_FACE: WhyNot("The face is enrolled under another subject already.", True),
    _R.SUBJECT_EXISTS: WhyNot("The subject is enrolled already, with another face.", True),
    _R.STREAM_FROZEN: WhyNot("The picture stood still: the same frame came again and again.", False),
    _R.CONNECTION_TOO_SLOW: WhyNot("For most of the time fewer than three frames a second came.", False),
    _R.TIMEOUT: WhyNot("The session's time was over before there were enough good frames.", False),
    _R.SUBJECT_GONE: WhyNot("The subject was deleted, or has no template.", False),
    _R.CANCELLED: WhyNot("The client or the backend cancelled the session.", False),
    _R.ATTEMPTS_EXCEEDED: WhyNot("Too many failed attempts; wait before the next.", False),
}


Place = Literal["device", "unknown_devices", "unnamed_device"]
"""Devices of a subject that a lockout applies to."""

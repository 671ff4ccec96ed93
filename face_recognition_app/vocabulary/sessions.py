"""Kind, purpose, status, liveness outcome and failure reasons of a session, and places of a lockout."""

from __future__ import annotations

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


Place = Literal["device", "unknown_devices", "unnamed_device"]
"""Devices of a subject that a lockout applies to."""

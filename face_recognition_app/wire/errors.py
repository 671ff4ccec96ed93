"""Errors that the service sends to a client on the socket.

WireError                  message, retry_after_ms; close code and retryable by its code (vocabulary.errors)
├── InvalidMessage         text outside the protocol
├── ChallengeUnsupported   the client cannot show an action of the challenge
├── UnusableFrame          a frame that cannot be used; the session goes on
├── Busy                   the frame was not computed in time; the session goes on
├── UnknownToken
├── Refused                the origin or the host is not allowed
├── Idle
├── Replaced               a newer connection owns the session
├── TooFast
├── MustWait               too many failed attempts; the session can be used later
├── Overloaded
├── Unavailable            the database, the disk or templates cannot be used, or this worker cannot read the session
└── InternalError
"""

from __future__ import annotations

from typing import ClassVar

from vocabulary.errors import ErrorCode, ImageCode, ServiceError


class WireError(ServiceError):
    def __init__(self, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(message, retry_after_ms)
        self.retry_after_ms = retry_after_ms


class InvalidMessage(WireError):
    code = ErrorCode.INVALID_MESSAGE


class ChallengeUnsupported(WireError):
    code = ErrorCode.CHALLENGE_UNSUPPORTED


class UnusableFrame(WireError):
    """A frame refused with an ImageCode, as the engine's ImageError has."""

    def __init__(self, message: str, frame_code: ImageCode) -> None:
        super().__init__(message)
        self.args = (message, frame_code)
        self.code = frame_code


class Busy(WireError):
    code = ErrorCode.BUSY


class UnknownToken(WireError):
    code = ErrorCode.UNKNOWN_TOKEN


class Refused(WireError):
    code = ErrorCode.REFUSED


class Idle(WireError):
    code = ErrorCode.IDLE


class Replaced(WireError):
    code = ErrorCode.REPLACED


class TooFast(WireError):
    code = ErrorCode.TOO_FAST


class MustWait(WireError):
    code = ErrorCode.ATTEMPTS_EXCEEDED


class Overloaded(WireError):
    code = ErrorCode.OVERLOADED


class Unavailable(WireError):
    """`passes`: whether the same call may succeed in a moment, so that it is tried again before a client is told."""

    code = ErrorCode.UNAVAILABLE
    passes: ClassVar[bool] = True


class InternalError(WireError):
    code = ErrorCode.INTERNAL

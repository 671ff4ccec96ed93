"""What the service tells a client that something is wrong, and with which close code.

WireError            code, message, retryable, retry_after_ms; close_code None leaves the session alone
├── InvalidMessage   text that is no message of the protocol; closes with 4400
├── ChallengeUnsupported  the client cannot show what the session asks for; 4400
├── UnusableFrame    a frame that cannot be used; the session goes on
├── Busy             no place for the frame in time; the session goes on
├── UnknownToken     4401
├── Refused          origin, 4403
├── Idle             4408
├── Replaced         a newer connection owns the session, 4409
├── TooFast          4429
├── MustWait         too many failures from there; the session stays for later, 4429
├── Overloaded       1013
├── Unavailable      the database or the disk cannot be used, or this worker cannot read the session, 1013
└── InternalError    1011
"""

from __future__ import annotations


class WireError(Exception):
    code: str = "internal"
    close_code: int | None = None
    retryable: bool = False

    def __init__(self, message: str, retry_after_ms: int | None = None) -> None:
        super().__init__(message, retry_after_ms)
        self.message = message
        self.retry_after_ms = retry_after_ms


class InvalidMessage(WireError):
    code = "invalid_message"
    close_code = 4400


class ChallengeUnsupported(WireError):
    code = "challenge_unsupported"
    close_code = 4400


class UnusableFrame(WireError):
    """Carries the engine's own code: invalid_image, image_too_large, image_too_complex or unsupported_format."""

    retryable = True

    def __init__(self, message: str, frame_code: str) -> None:
        super().__init__(message)
        self.args = (message, frame_code)
        self.code = frame_code


class Busy(WireError):
    code = "busy"
    retryable = True


class UnknownToken(WireError):
    code = "unknown_token"
    close_code = 4401


class Refused(WireError):
    code = "refused"
    close_code = 4403


class Idle(WireError):
    code = "idle"
    close_code = 4408
    retryable = True


class Replaced(WireError):
    code = "replaced"
    close_code = 4409


class TooFast(WireError):
    code = "too_fast"
    close_code = 4429
    retryable = True


class MustWait(WireError):
    code = "attempts_exceeded"
    close_code = 4429
    retryable = True


class Overloaded(WireError):
    code = "overloaded"
    close_code = 1013
    retryable = True


class Unavailable(WireError):
    code = "unavailable"
    close_code = 1013
    retryable = True


class InternalError(WireError):
    close_code = 1011
    retryable = True

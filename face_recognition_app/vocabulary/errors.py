"""Error codes of the public contract, with their HTTP status and close code, and the base class of errors with a code.

docs/errors.md and the OpenAPI and AsyncAPI documents are generated from the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal


class ErrorCode(StrEnum):
    """Codes of all errors; `error` is that of any status from Django that has no code of its own."""

    ATTEMPTS_EXCEEDED = "attempts_exceeded"
    BAD_REQUEST = "bad_request"
    BUSY = "busy"
    CHALLENGE_IMPOSSIBLE = "challenge_impossible"
    CHALLENGE_UNSUPPORTED = "challenge_unsupported"
    CONSENT_REQUIRED = "consent_required"
    DELIVERY_NOT_FOUND = "delivery_not_found"
    DIFFERENT_FACE = "different_face"
    DUPLICATE_FACE = "duplicate_face"
    ERROR = "error"
    FACE_COVERED = "face_covered"
    FORBIDDEN = "forbidden"
    HEADERS_TOO_LARGE = "headers_too_large"
    IDEMPOTENCY_CONFLICT = "idempotency_conflict"
    IDLE = "idle"
    IMAGE_TOO_COMPLEX = "image_too_complex"
    IMAGE_TOO_LARGE = "image_too_large"
    INTERNAL = "internal"
    INVALID_IMAGE = "invalid_image"
    INVALID_MESSAGE = "invalid_message"
    INVALID_SUBJECT_ID = "invalid_subject_id"
    JOB_NOT_FINISHED = "job_not_finished"
    JOB_NOT_FOUND = "job_not_found"
    JOB_OVER = "job_over"
    KEY_NOT_FOUND = "key_not_found"
    KEY_REPLACED = "key_replaced"
    LAST_ADMIN_KEY = "last_admin_key"
    LENGTH_REQUIRED = "length_required"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    LOOK_STRAIGHT = "look_straight"
    MULTIPLE_FACES = "multiple_faces"
    NO_FACE = "no_face"
    NO_PROBE = "no_probe"
    NO_TEMPLATE = "no_template"
    NO_USABLE_FACE = "no_usable_face"
    NOT_FOUND = "not_found"
    NOT_REPLAYABLE = "not_replayable"
    OUTCOMES_NOT_FOUND = "outcomes_not_found"
    OVERLOADED = "overloaded"
    POLICY_TOO_WEAK = "policy_too_weak"
    REFUSED = "refused"
    REPLACED = "replaced"
    REQUEST_TIMEOUT = "request_timeout"
    REQUEST_TOO_LARGE = "request_too_large"
    SCOPE_MISSING = "scope_missing"
    SESSION_NOT_FOUND = "session_not_found"
    SESSION_OVER = "session_over"
    SUBJECT_EXISTS = "subject_exists"
    SUBJECT_NOT_FOUND = "subject_not_found"
    TEMPLATE_NOT_FOUND = "template_not_found"
    TOO_FAST = "too_fast"
    TOO_MANY_TEMPLATES = "too_many_templates"
    TOO_MANY_WEBHOOKS = "too_many_webhooks"
    UNAUTHORIZED = "unauthorized"
    UNAVAILABLE = "unavailable"
    UNKNOWN_TOKEN = "unknown_token"  # noqa: S105 - a code, not a secret
    UNSUPPORTED_FORMAT = "unsupported_format"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    VALIDATION_ERROR = "validation_error"
    WEBHOOK_DISABLED = "webhook_disabled"
    WEBHOOK_NOT_FOUND = "webhook_not_found"
    WEBHOOK_URL_REFUSED = "webhook_url_refused"


ImageCode = Literal[
    ErrorCode.INVALID_IMAGE, ErrorCode.IMAGE_TOO_LARGE, ErrorCode.IMAGE_TOO_COMPLEX, ErrorCode.UNSUPPORTED_FORMAT
]
"""Why a picture cannot be used."""


@dataclass(frozen=True, slots=True)
class OverHttp:
    """HTTP status of an error, and its meaning in one or two sentences."""

    status: int
    meaning: str


@dataclass(frozen=True, slots=True)
class OnSocket:
    """Close code of an error, or None when the connection goes on, and its meaning."""

    close_code: int | None
    retryable: bool
    meaning: str


_C = ErrorCode
HTTP: dict[ErrorCode, OverHttp] = {
    _C.BAD_REQUEST: OverHttp(
        400, "The request cannot be read, for example its body is not JSON, or its host is not served."
    ),
    _C.UNAUTHORIZED: OverHttp(401, "No API key or access token, or one that is unknown, expired or revoked."),
    _C.FORBIDDEN: OverHttp(403, "The request is not allowed."),
    _C.SCOPE_MISSING: OverHttp(403, "The key or access token has none of the scopes that would do: `details.needs`."),
    _C.NOT_FOUND: OverHttp(404, "There is nothing at this path."),
    _C.JOB_NOT_FOUND: OverHttp(404, "The tenant has no job with this id, or it is deleted after its time."),
    _C.DELIVERY_NOT_FOUND: OverHttp(404, "The tenant's webhook has no delivery with this id, or it is kept no longer."),
    _C.KEY_NOT_FOUND: OverHttp(404, "The tenant has no API key with this id, or it is revoked."),
    _C.OUTCOMES_NOT_FOUND: OverHttp(
        404, "The tenant has no numbers of this day: it is not over, not counted yet, or they are kept no longer."
    ),
    _C.SESSION_NOT_FOUND: OverHttp(404, "The tenant has no session with this id."),
    _C.SUBJECT_NOT_FOUND: OverHttp(404, "The tenant has no subject with this id."),
    _C.TEMPLATE_NOT_FOUND: OverHttp(404, "The subject has no template with this id."),
    _C.WEBHOOK_NOT_FOUND: OverHttp(404, "The tenant has no webhook with this id."),
    _C.METHOD_NOT_ALLOWED: OverHttp(405, "The path exists, but not with this method; see `Allow`."),
    _C.REQUEST_TIMEOUT: OverHttp(408, "The request's head or its body came too slowly."),
    _C.DIFFERENT_FACE: OverHttp(409, "The subject is enrolled with another face. Nothing was kept."),
    _C.DUPLICATE_FACE: OverHttp(
        409,
        "The face is enrolled under another subject. Nothing was kept. `details` names the other subject, if the key "
        "may read subjects.",
    ),
    _C.IDEMPOTENCY_CONFLICT: OverHttp(409, "The `Idempotency-Key` was used for another request."),
    _C.JOB_NOT_FINISHED: OverHttp(409, "The job waits or runs: it can be tried again when it has ended."),
    _C.JOB_OVER: OverHttp(409, "The job has ended: it cannot be cancelled, and one that succeeded is not tried again."),
    _C.KEY_REPLACED: OverHttp(409, "The API key was rotated already. Rotate the one that replaced it."),
    _C.LAST_ADMIN_KEY: OverHttp(
        409,
        "Without this API key nobody could manage the tenant's keys over REST. Issue another one with `admin` first.",
    ),
    _C.NO_PROBE: OverHttp(
        409, "The session matched nobody, or its probe is no longer kept: send a picture in place of `session_id`."
    ),
    _C.NO_TEMPLATE: OverHttp(409, "The subject has no template to compare with."),
    _C.NOT_REPLAYABLE: OverHttp(409, "The delivery is under way, or what it said was erased with the person."),
    _C.REPLACED: OverHttp(409, "Another connection owns the session now."),
    _C.SESSION_OVER: OverHttp(409, "The session is decided, cancelled or expired."),
    _C.SUBJECT_EXISTS: OverHttp(409, "There is a subject with this id already."),
    _C.TOO_MANY_TEMPLATES: OverHttp(
        409, "The subject would have more than 20 templates. Delete some, or replace them all."
    ),
    _C.TOO_MANY_WEBHOOKS: OverHttp(409, "The tenant has ten webhooks, and may have no more. Delete one first."),
    _C.WEBHOOK_DISABLED: OverHttp(409, "The webhook is disabled. Enable it first."),
    _C.LENGTH_REQUIRED: OverHttp(411, "The request says no `Content-Length`."),
    _C.IMAGE_TOO_LARGE: OverHttp(413, "The image has more bytes or pixels than are allowed."),
    _C.REQUEST_TOO_LARGE: OverHttp(413, "The whole request has more bytes than are allowed."),
    _C.UNSUPPORTED_FORMAT: OverHttp(415, "A picture, but not a still JPEG, PNG or WebP."),
    _C.UNSUPPORTED_MEDIA_TYPE: OverHttp(415, "The request's `Content-Type` is not understood."),
    _C.CHALLENGE_IMPOSSIBLE: OverHttp(
        422,
        "What the person can do and the client can show is too little for a challenge; `details.needed` says what "
        "more would do.",
    ),
    _C.IMAGE_TOO_COMPLEX: OverHttp(
        422,
        "Decoding the image would take far more work than an ordinary one of its size: too many scans, segments or "
        "chunks.",
    ),
    _C.CONSENT_REQUIRED: OverHttp(422, "The tenant enrols nobody without a record of consent: send `consent`."),
    _C.INVALID_IMAGE: OverHttp(422, "Not a picture, broken off, or it does not decode."),
    _C.INVALID_SUBJECT_ID: OverHttp(
        422, "A `subject_id` is 1 to 128 of letters, digits and `. _ : @ -`, neither `.` nor `..`."
    ),
    _C.FACE_COVERED: OverHttp(422, "Mouth or nose are covered, and `manage.py set_policy --covered-faces` is no."),
    _C.LOOK_STRAIGHT: OverHttp(422, "The face lies on its side or upside down: turn the picture upright."),
    _C.MULTIPLE_FACES: OverHttp(422, "The picture has more than one face where one is needed."),
    _C.NO_FACE: OverHttp(422, "The picture has no face where one is needed."),
    _C.NO_USABLE_FACE: OverHttp(422, "No image has a usable face; `details.rejected` says why, image by image."),
    _C.POLICY_TOO_WEAK: OverHttp(422, "The tenant asks for stronger liveness: `details.minimum`."),
    _C.VALIDATION_ERROR: OverHttp(422, "A field is missing or wrong; `details` names each one."),
    _C.WEBHOOK_URL_REFUSED: OverHttp(
        422, "Webhooks are sent to https URLs whose hosts have public addresses, and to what the operator allows."
    ),
    _C.ATTEMPTS_EXCEEDED: OverHttp(
        429,
        "Too many failures: the subject, the device or the address waits or is locked, or the tenant's "
        "identifications are at their rate. Try again after `details.retry_after_s` seconds.",
    ),
    _C.HEADERS_TOO_LARGE: OverHttp(431, "The request line and headers have more than 32 KiB, or more than 100 lines."),
    _C.INTERNAL: OverHttp(500, "Something went wrong on the server. It is logged with the request id."),
    _C.BUSY: OverHttp(503, "No place came free in time. Try again after `details.retry_after_ms`."),
    _C.OVERLOADED: OverHttp(
        503, "The worker has no place for another connection. Connect again after `details.retry_after_ms`."
    ),
    _C.UNAVAILABLE: OverHttp(
        503,
        "The database, the disk or the tenant's templates cannot be used now, or another worker, of a newer "
        "version, must go on with the session. "
        "Try again after `details.retry_after_ms`.",
    ),
}
"""Sorted by status, then by code."""

SOCKET: dict[ErrorCode, OnSocket] = {
    _C.INVALID_IMAGE: OnSocket(None, True, "The frame is not a picture, is broken off, or is not valid base64."),
    _C.IMAGE_TOO_LARGE: OnSocket(None, True, "The frame has more bytes or pixels than `limits` allows."),
    _C.IMAGE_TOO_COMPLEX: OnSocket(
        None, True, "Decoding the frame would take far more work than an ordinary one of its size."
    ),
    _C.UNSUPPORTED_FORMAT: OnSocket(None, True, "The frame is a picture, but not a still JPEG, PNG or WebP."),
    _C.BUSY: OnSocket(None, True, "No place came free in time. Send the next frame after `retry_after_ms`."),
    _C.OVERLOADED: OnSocket(
        1013, True, "The worker has no place for another connection. Connect again after `retry_after_ms`."
    ),
    _C.UNAVAILABLE: OnSocket(
        1013,
        True,
        "The database, the disk or the tenant's templates cannot be used now, or another worker, of a newer "
        "version, must go on with the session. "
        "Connect again after `retry_after_ms`; the session goes on where it was.",
    ),
    _C.ATTEMPTS_EXCEEDED: OnSocket(
        4429,
        True,
        "Too many failures at this address or for this claim. The session stays: connect again after `retry_after_ms`.",
    ),
    _C.INTERNAL: OnSocket(
        1011, True, "Something went wrong on the server. Connect again; the session goes on where it was."
    ),
    _C.INVALID_MESSAGE: OnSocket(4400, False, "The text is no message of the protocol."),
    _C.CHALLENGE_UNSUPPORTED: OnSocket(
        4400, False, "The client says that it cannot show what the session's challenge asks for."
    ),
    _C.UNKNOWN_TOKEN: OnSocket(4401, False, "The token is unknown, or its session is over, expired or deleted."),
    _C.REFUSED: OnSocket(4403, False, "The origin of the page is not allowed, or the host is not served."),
    _C.IDLE: OnSocket(4408, True, "Nothing was heard for too long."),
    _C.REPLACED: OnSocket(4409, False, "A newer connection owns the session."),
    _C.TOO_FAST: OnSocket(4429, True, "Too many messages a second for too long."),
}
"""First the errors that close no connection or are not the client's fault."""

CLOSE_CODES: dict[int, str] = {
    1000: "The session is over; its result was sent before.",
    1001: "The server goes away.",
    1009: "A message was larger than any frame may be.",
    1011: "Something went wrong on the server.",
    1012: "The server restarts: connect again after `reconnect_after_ms`, and go on.",
    1013: "The worker has no place for another connection, or its database cannot be used: connect again after "
    "`retry_after_ms`.",
    4400: "A message outside the protocol, or a challenge that the client cannot show.",
    4401: "The token is unknown, used or expired, or its session was deleted.",
    4403: "The origin is not allowed, or the host is not served.",
    4408: "Nothing was heard for too long.",
    4409: "A newer connection owns the session.",
    4429: "Too many messages a second for too long, or too many failed attempts: the `error` before it says which, "
    "and how long to wait.",
}


class ServiceError(Exception):
    """Base of errors that may be sent to a client; `code` gives HTTP status and close code.

    ServiceError
    ├── EngineError    pictures and the engine (core.errors)
    ├── WireError      errors sent on the socket (wire.errors)
    ├── KeyProblem     API keys (tenants.keys)
    ├── JobProblem     background jobs (jobs.problems)
    ├── GalleryError   subjects and templates (gallery.people)
    ├── SessionError   sessions (recognition.sessions.lease)
    ├── Refusal        sessions that may not begin (recognition.sessions.refusals)
    ├── ReportGone     a report of a job that is not there (recognition.background.reports.files)
    ├── WebhookError   webhooks (webhooks.errors)
    ├── HttpRefusal    requests refused before Django (web.refusal)
    └── ApiError       other requests that a view refuses (recognition.api.errors)

    The first argument of the constructor is the message, which the client sees. `details`: further data for a REST
    client. `retry_after_ms`: time to wait, when waiting helps.
    """

    code: ErrorCode = ErrorCode.INTERNAL
    details: Any = None
    retry_after_ms: int | None = None

    def __str__(self) -> str:
        return self.message

    @property
    def message(self) -> str:
        return str(self.args[0]) if self.args else ""

    @property
    def status(self) -> int:
        """HTTP status; 500 for an error of the socket only."""
        told = HTTP.get(self.code)
        return 500 if told is None else told.status

    @property
    def close_code(self) -> int | None:
        """Close code of the socket; None when the connection goes on."""
        told = SOCKET.get(self.code)
        return None if told is None else told.close_code

    @property
    def retryable(self) -> bool:
        """Whether a socket's client may try again."""
        told = SOCKET.get(self.code)
        return told is not None and told.retryable

"""The one place where errors become HTTP answers: always the same envelope."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from asgiref.sync import markcoroutinefunction
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.http.multipartparser import MultiPartParserError

from core.errors import EngineError, ImageTooLarge, InvalidImage, UnsupportedFormat
from gallery import people
from ops import request_id
from recognition import sessions
from recognition.outages import outage_of
from recognition.refusals import AttemptsExceeded, ChallengeImpossible, PolicyTooWeak, Refusal
from wire.errors import Busy, Replaced, Unavailable, UnusableFrame, WireError

logger = logging.getLogger(__name__)


class ApiError(Exception):
    """An answer that is an error: HTTP status, stable code, words and details; where waiting helps, details say how
    long. Details are then named ones."""

    def __init__(
        self, status: int, code: str, message: str, details: Any = None, retry_after_ms: int | None = None
    ) -> None:
        super().__init__(status, code, message, details, retry_after_ms)
        self.status = status
        self.code = code
        self.message = message
        self.details = details if retry_after_ms is None else {**(details or {}), "retry_after_ms": retry_after_ms}
        self.retry_after_ms = retry_after_ms


DOMAIN_ERRORS: dict[type[Exception], tuple[int, str]] = {
    InvalidImage: (422, "invalid_image"),
    ImageTooLarge: (413, "image_too_large"),
    UnsupportedFormat: (415, "unsupported_format"),
    people.InvalidSubjectId: (422, "invalid_subject_id"),
    people.SubjectNotFound: (404, "subject_not_found"),
    people.SubjectExists: (409, "subject_exists"),
    people.TemplateNotFound: (404, "template_not_found"),
    people.DuplicateFace: (409, "duplicate_face"),
    people.DifferentFace: (409, "different_face"),
    sessions.SessionNotFound: (404, "session_not_found"),
    sessions.TokenInvalid: (409, "session_over"),
    sessions.IdempotencyConflict: (409, "idempotency_conflict"),
    AttemptsExceeded: (429, "attempts_exceeded"),
    PolicyTooWeak: (422, "policy_too_weak"),
    ChallengeImpossible: (422, "challenge_impossible"),
    Busy: (503, "busy"),
    Replaced: (409, "replaced"),
    Unavailable: (503, "unavailable"),
    RequestDataTooBig: (413, "request_too_large"),
    SuspiciousOperation: (400, "bad_request"),
    MultiPartParserError: (400, "bad_request"),
}

STATUS_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_media_type",
    500: "internal",
}


def as_api_error(error: Exception) -> ApiError:
    """What to answer to an error that a view raised; an unknown one is logged and told as internal."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Refusal):
        status, code = DOMAIN_ERRORS[type(error)]
        wait_ms = None if error.retry_after_s is None else error.retry_after_s * 1000
        return ApiError(status, code, error.message, error.details, wait_ms)
    if isinstance(error, UnusableFrame):
        statuses = {code: status for status, code in DOMAIN_ERRORS.values()}
        return ApiError(statuses[error.code], error.code, error.message)
    error = outage_of(error) or error
    for kind, (status, code) in DOMAIN_ERRORS.items():
        if isinstance(error, kind):
            retry = error.retry_after_ms if isinstance(error, WireError) else None
            message = error.message if isinstance(error, WireError) else str(error)
            return ApiError(status, code, message, retry_after_ms=retry)
    if isinstance(error, EngineError) and error.retryable:
        return ApiError(503, "busy", "the picture could not be analysed now", retry_after_ms=500)
    logger.error("a request failed", exc_info=error)
    return ApiError(500, "internal", "something went wrong on the server")


def envelope(error: ApiError) -> JsonResponse:
    content = {"code": error.code, "message": error.message, "details": error.details}
    response = JsonResponse({"error": content, "request_id": request_id.current.get()}, status=error.status)
    if error.retry_after_ms is not None:
        response["Retry-After"] = str(math.ceil(error.retry_after_ms / 1000))
    return response


class ErrorEnvelope:
    """Middleware: an error that Django itself answers (404, 405, a bad host) looks like every other."""

    async_capable = True
    sync_capable = False

    def __init__(self, get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]]) -> None:
        self._get_response = get_response
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = await self._get_response(request)
        if response.status_code < 400 or response.get("Content-Type", "").startswith("application/json"):
            return response
        code = STATUS_CODES.get(response.status_code, "error")
        uniform: HttpResponse = envelope(ApiError(response.status_code, code, HTTPStatus(response.status_code).phrase))
        for name in ("Allow", "WWW-Authenticate"):
            if name in response:
                uniform[name] = response[name]
        return uniform

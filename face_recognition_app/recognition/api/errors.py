"""Turns exceptions into HTTP answers; the only place that does."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.http.multipartparser import MultiPartParserError

from database.outages import outage_of
from logs import request_id
from tenants.models import Tenant
from vocabulary.errors import HTTP, ErrorCode, ServiceError
from web.envelope import envelope, waiting_headers
from web.middleware import AsyncMiddleware
from wire.errors import UnknownToken

logger = logging.getLogger(__name__)


class ApiError(ServiceError):
    """A refusal by a view for which the domain has no error class."""

    def __init__(self, code: ErrorCode, message: str, details: Any = None) -> None:
        super().__init__(code, message, details)
        self.code = code
        self.details = details

    @property
    def message(self) -> str:
        return str(self.args[1])


OTHERS: dict[type[Exception], ErrorCode] = {
    UnknownToken: ErrorCode.SESSION_NOT_FOUND,
    Tenant.DoesNotExist: ErrorCode.UNAUTHORIZED,
    RequestDataTooBig: ErrorCode.REQUEST_TOO_LARGE,
    SuspiciousOperation: ErrorCode.BAD_REQUEST,
    MultiPartParserError: ErrorCode.BAD_REQUEST,
}
"""Codes of errors that carry none, or that have another one on the socket. The first matching class wins."""

OF_DJANGO = {
    HTTP[code].status: code
    for code in (
        ErrorCode.BAD_REQUEST,
        ErrorCode.UNAUTHORIZED,
        ErrorCode.FORBIDDEN,
        ErrorCode.NOT_FOUND,
        ErrorCode.METHOD_NOT_ALLOWED,
        ErrorCode.REQUEST_TOO_LARGE,
        ErrorCode.UNSUPPORTED_MEDIA_TYPE,
        ErrorCode.INTERNAL,
    )
}
"""Error codes for the answers that Django makes itself, by HTTP status."""


def as_service_error(error: Exception) -> ServiceError:
    """The error to answer when a view raised `error`. Unknown errors are logged and become `internal`."""
    error = outage_of(error) or error
    for kind, code in OTHERS.items():
        if isinstance(error, kind):
            return ApiError(code, str(error))
    if isinstance(error, ServiceError) and error.code is not ErrorCode.INTERNAL:
        return error
    logger.error("a request failed", exc_info=error)
    return ApiError(ErrorCode.INTERNAL, "something went wrong on the server")


def error_response(error: ServiceError, status: int | None = None) -> JsonResponse:
    """The error envelope as a response; `status` overrides the status of the error's code."""
    content = envelope(error, request_id.current.get())
    return JsonResponse(content, status=error.status if status is None else status, headers=waiting_headers(error))


class UniformErrors(AsyncMiddleware):
    """Middleware that puts Django's own error answers (404, 405, a bad host) into the error envelope."""

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = await self._get_response(request)
        if response.status_code < 400 or response.get("Content-Type", "").startswith("application/json"):
            return response
        status = response.status_code
        error = ApiError(OF_DJANGO.get(status, ErrorCode.ERROR), HTTPStatus(status).phrase)
        uniform = error_response(error, status)
        for name in ("Allow", "WWW-Authenticate"):
            if name in response:
                uniform[name] = response[name]
        return uniform

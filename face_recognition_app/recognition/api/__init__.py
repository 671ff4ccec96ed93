"""The REST API."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.gzip import gzip_page
from ninja.errors import AuthenticationError, HttpError, ValidationError

from config.public_url import PublicUrl
from logs.tracebacks import let_go
from recognition.api import audit, auth, faces, keys, outcomes, sessions
from recognition.api.errors import ApiError, as_service_error, error_response
from recognition.api.jobs import jobs, reports
from recognition.api.openapi.document import FaceApi, LocalSwagger
from recognition.api.people import feedback, locks, subjects
from recognition.api.webhooks import deliveries, endpoints
from vocabulary.errors import ErrorCode
from vocabulary.version import VERSION
from web.access.credentials import SEND_CREDENTIALS


def make_api(public_url: PublicUrl | None = None) -> FaceApi:
    """The API; its document names `public_url` as the server, if it is known."""
    api = FaceApi(
        title="Face recognition service",
        version=VERSION,
        description="Enrol, authenticate and identify live people; see docs/protocol.md for the socket.",
        docs=LocalSwagger(),
        docs_url="/docs",
        docs_decorator=gzip_page,
        urls_namespace="api",
        servers=[] if public_url is None else [{"url": str(public_url)}],
    )
    api.add_router("/v1/auth/", auth.router)
    api.add_router("/v1/sessions/", sessions.router)
    api.add_router("/v1/subjects/", subjects.router)
    api.add_router("/v1/subjects/", locks.router)
    api.add_router("/v1/subjects/", feedback.router)
    api.add_router("/v1/faces/", faces.router)
    api.add_router("/v1/jobs/", jobs.router)
    api.add_router("/v1/jobs/", reports.router)
    api.add_router("/v1/keys/", keys.router)
    api.add_router("/v1/audit/", audit.router)
    api.add_router("/v1/outcomes/", outcomes.router)
    api.add_router("/v1/webhooks/", endpoints.router)
    api.add_router("/v1/webhooks/", deliveries.router)
    api.exception_handler(ValidationError)(_invalid)
    api.exception_handler(AuthenticationError)(_unauthorized)
    api.exception_handler(HttpError)(_http_error)
    api.exception_handler(Exception)(_failed)
    return api


def _failed(request: HttpRequest, error: Exception) -> HttpResponse:
    answer = error_response(as_service_error(error))
    let_go(error)
    return answer


def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    details = [{"field": _field(problem), "message": problem["msg"]} for problem in error.errors]
    first = details[0] if details else {"field": "", "message": "invalid"}
    return error_response(ApiError(ErrorCode.VALIDATION_ERROR, f"{first['field']}: {first['message']}", details))


def _field(problem: dict[str, Any]) -> str:
    """The field's path as the client wrote it, without the two leading parts that ninja adds."""
    return ".".join(str(part) for part in problem["loc"][2:]) or str(problem["loc"][-1])


def _unauthorized(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    response = error_response(ApiError(ErrorCode.UNAUTHORIZED, SEND_CREDENTIALS))
    response["WWW-Authenticate"] = "Bearer"
    return response


def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return error_response(ApiError(ErrorCode.BAD_REQUEST, str(error)), error.status_code)

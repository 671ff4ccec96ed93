"""The OpenAPI document: ninja's own, with stable operation ids, every error and the scopes of each operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from http import HTTPStatus
from itertools import groupby
from typing import Any, TypeVar, get_args

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from ninja import NinjaAPI
from ninja.openapi.docs import DocsBase
from ninja.openapi.schema import REF_TEMPLATE, OpenAPISchema
from ninja.operation import Operation

from recognition.api.auth import API_KEY, SESSION_TOKEN, BackendAuth
from recognition.api.openapi.allowances import MAX_IMAGES
from recognition.api.schemas import ErrorEnvelope
from vocabulary.errors import HTTP, ErrorCode, ImageCode

View = TypeVar("View", bound=Callable[..., Any])

ERROR_CODES = "x-error-codes"
"""Extension of a response: the error codes that the operation answers with this status."""

DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of Swagger's page, whose style sheet has its icons in it."""

EVERYWHERE = (
    ErrorCode.BAD_REQUEST,
    ErrorCode.REQUEST_TIMEOUT,
    ErrorCode.LENGTH_REQUIRED,
    ErrorCode.REQUEST_TOO_LARGE,
    ErrorCode.HEADERS_TOO_LARGE,
    ErrorCode.INTERNAL,
    ErrorCode.OVERLOADED,
    ErrorCode.UNAVAILABLE,
)
"""Codes that any request can get: too slow, too long, malformed, or the service cannot answer now."""
WITH_AUTH = (ErrorCode.UNAUTHORIZED, ErrorCode.SCOPE_MISSING)
WITH_FIELDS = (ErrorCode.VALIDATION_ERROR,)
WITH_BODY = (ErrorCode.UNSUPPORTED_MEDIA_TYPE,)
WITH_PICTURES = (ErrorCode.BUSY,)
WITH_UUID_IN_PATH = (ErrorCode.NOT_FOUND,)
"""A path segment that is not a UUID matches no route."""

A_PICTURE: tuple[ErrorCode, ...] = get_args(ImageCode)
"""Codes of views that need a picture, for `raises`."""
A_FACE = (
    *A_PICTURE,
    ErrorCode.NO_FACE,
    ErrorCode.MULTIPLE_FACES,
    ErrorCode.LOOK_STRAIGHT,
    ErrorCode.FACE_COVERED,
)
"""Codes of views that recognise the face that is meant in a picture, for `raises`."""

_RAISES = "raises"
_SCHEMES = {
    API_KEY: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or an access token made from one, with the scope. `admin` stands for every scope.",
    },
    SESSION_TOKEN: {"type": "http", "scheme": "bearer", "description": "The token of the session in the path."},
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


def raises(*codes: ErrorCode) -> Callable[[View], View]:
    """Declare the codes that are specific to a view; `error_codes` adds those common to its kind of request."""

    def declare(view: View) -> View:
        setattr(view, _RAISES, codes)
        return view

    return declare


def error_codes(operation: Operation) -> Iterator[ErrorCode]:
    """Every error code that the operation can answer with."""
    sources = {model.__ninja_param_source__ for model in operation.models}
    body = (operation.openapi_extra or {}).get("requestBody", {})
    yield from EVERYWHERE
    yield from getattr(operation.view_func, _RAISES, ())
    if operation.auth_callbacks:
        yield from WITH_AUTH
    if body or sources - {"path"}:
        yield from WITH_FIELDS
    if body or sources & {"body", "form", "file"}:
        yield from WITH_BODY
    if MAX_IMAGES in body:
        yield from WITH_PICTURES
    if "{uuid" in operation.path:
        yield from WITH_UUID_IN_PATH


class LocalSwagger(DocsBase):
    """Swagger's page with the scripts of this service, under a policy of its own."""

    def render_page(self, request: HttpRequest, api: NinjaAPI, **_: Any) -> HttpResponse:
        response = render(request, "recognition/docs.html", {"api": api})
        response["Content-Security-Policy"] = DOCS_POLICY
        return response


class FaceApi(NinjaAPI):
    """An API whose operation ids are the names of the views, independent of their modules."""

    @cached_property
    def served_document(self) -> Document:
        """The document that every request for it gets. To build it takes 40 ms."""
        return Document(self, self.get_root_path({}))

    def get_openapi_operation_id(self, operation: Operation) -> str:
        return operation.view_func.__name__

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        return self.served_document if path_prefix is None else Document(self, path_prefix)


class Document(OpenAPISchema):
    def responses(self, operation: Operation) -> dict[int, dict[str, Any]]:
        answers: dict[int, dict[str, Any]] = super().responses(operation)
        return answers | _errors(error_codes(operation))

    def operation_details(self, operation: Operation) -> dict[str, Any]:
        details: dict[str, Any] = super().operation_details(operation)
        needs = _auth_of(operation).described
        details["description"] = f"{details['description']}\n\n{needs}" if "description" in details else needs
        return details

    def operation_security(self, operation: Operation) -> list[dict[str, Any]]:
        return _auth_of(operation).requirements

    def get_components(self) -> dict[str, Any]:
        schema = ErrorEnvelope.model_json_schema(ref_template=REF_TEMPLATE)
        self.add_schema_definitions(schema.pop("$defs"))
        self.add_schema_definitions({ErrorEnvelope.__name__: schema})
        return {"schemas": self.schemas, "securitySchemes": _SCHEMES}


def _auth_of(operation: Operation) -> BackendAuth:
    (auth,) = operation.auth_callbacks
    assert isinstance(auth, BackendAuth)
    return auth


def _errors(codes: Iterable[ErrorCode]) -> dict[int, dict[str, Any]]:
    def status(code: ErrorCode) -> int:
        return HTTP[code].status

    return {status: _error(status, list(group)) for status, group in groupby(sorted(codes, key=status), status)}


def _error(status: int, codes: list[ErrorCode]) -> dict[str, Any]:
    meanings = "\n".join(f"- `{code}`: {HTTP[code].meaning}" for code in sorted(codes))
    answer: dict[str, Any] = {
        "description": meanings,
        "content": {"application/json": {"schema": {"$ref": REF_TEMPLATE.format(model=ErrorEnvelope.__name__)}}},
        ERROR_CODES: sorted(codes),
    }
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        answer["headers"] = _RETRY_AFTER
    return answer

"""The registry of error codes against the errors that carry them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import get_args

import pytest

from core.errors import ImageError, MeshFailed, ModelError, PoolClosed, PoolTimeout
from gallery.people import SubjectNotFound
from recognition.api import make_api
from recognition.api.errors import OF_DJANGO, OTHERS, ApiError, as_service_error
from recognition.api.openapi.document import ERROR_CODES
from recognition.sessions.refusals import AttemptsExceeded
from vocabulary.errors import CLOSE_CODES, HTTP, SOCKET, ErrorCode, ImageCode, ServiceError
from web.refusal import HttpRefusal
from wire.errors import UnusableFrame, WireError

OF_THE_WEBSOCKET_LAYER = {1000, 1001, 1009, 1012}
"""Close codes that come with no `error`."""
KINDS_OF_PICTURES = {kind.code: kind for kind in ImageError.__subclasses__()}


def every_kind(kind: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from every_kind(child)


def documented_in_the_api() -> set[str]:
    paths = make_api().get_openapi_schema(path_prefix="/api/")["paths"]
    operations = [operation for methods in paths.values() for operation in methods.values()]
    answers = [answer for operation in operations for answer in operation["responses"].values()]
    return {code for answer in answers for code in answer.get(ERROR_CODES, ())}


@pytest.mark.parametrize("kind", list(every_kind()), ids=lambda kind: kind.__name__)
def test_whatever_is_raised_can_be_told(kind: type[ServiceError]) -> None:
    """Over HTTP as it is or under another code, or on the socket; `internal` stands for what nobody is told of."""
    assert kind.code in HTTP or kind.code in SOCKET
    if issubclass(kind, WireError):
        assert kind is WireError or kind.code in SOCKET
        assert kind.code in HTTP or kind in OTHERS or SOCKET[kind.code].close_code is not None


def test_every_code_is_told_somewhere() -> None:
    assert set(HTTP) | set(SOCKET) == set(ErrorCode) - {ErrorCode.ERROR}


def test_every_code_over_http_is_an_operations_or_djangos() -> None:
    djangos = set(OF_DJANGO.values())
    assert set(HTTP) - documented_in_the_api() == djangos - documented_in_the_api()
    assert {ErrorCode.FORBIDDEN, ErrorCode.METHOD_NOT_ALLOWED} <= djangos


def test_every_code_on_the_socket_is_a_wire_errors() -> None:
    raised = {kind.code for kind in WireError.__subclasses__()} | set(get_args(ImageCode))
    assert raised == set(SOCKET)


def test_every_close_code_is_explained() -> None:
    of_errors = {told.close_code for told in SOCKET.values() if told.close_code is not None}
    assert set(CLOSE_CODES) == of_errors | OF_THE_WEBSOCKET_LAYER


@pytest.mark.parametrize(
    "error",
    [
        HttpRefusal(ErrorCode.OVERLOADED, "m", ((b"allow", b"GET"),), 100),
        ApiError(ErrorCode.SCOPE_MISSING, "m", {"needs": ["read"]}),
        AttemptsExceeded("m", {"retry_after_s": 1}, 1_000),
        SubjectNotFound("m"),
        UnusableFrame("m", ErrorCode.INVALID_IMAGE),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_goes_from_one_process_to_another_whole(error: ServiceError) -> None:
    there = pickle.loads(pickle.dumps(error))
    assert (type(there), there.message) == (type(error), "m")
    assert vars(there) == vars(error)


def test_the_docstring_draws_every_branch() -> None:
    assert ServiceError.__doc__
    for branch in ServiceError.__subclasses__():
        assert branch.__name__ in ServiceError.__doc__


@pytest.mark.parametrize("code", get_args(ImageCode))
def test_a_picture_that_cannot_be_used_is_told_alike_in_an_upload_and_in_a_session(code: ImageCode) -> None:
    upload = as_service_error(KINDS_OF_PICTURES[code]("broken"))
    frame = as_service_error(UnusableFrame("broken", code))
    assert (frame.status, frame.code, frame.message) == (upload.status, code, "broken")
    assert 400 <= frame.status < 500


@pytest.mark.parametrize("kind", [PoolTimeout, PoolClosed, MeshFailed])
def test_a_picture_that_nobody_looked_at_is_busy_and_only_the_log_says_why(kind: type[ServiceError]) -> None:
    error = as_service_error(kind("mesh 3 raised: a secret"))
    assert (error.code, error.status, error.retryable) == (ErrorCode.BUSY, 503, True)
    assert error.retry_after_ms == 500
    assert "secret" not in error.message
    assert "secret" in str(error)


def test_what_no_client_can_be_told_of_is_internal_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    error = as_service_error(ModelError("/srv/models/mesh.xml is missing"))
    assert isinstance(error, ApiError)
    assert (error.code, error.status) == (ErrorCode.INTERNAL, 500)
    assert "/srv" not in error.message
    assert "a request failed" in caplog.text

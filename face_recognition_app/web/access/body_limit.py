"""Refusal of requests with a body that is too long, or long and without valid credentials, before it is read."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from vocabulary.errors import ErrorCode
from web.access.credentials import Authenticate, check_credentials
from web.refusal import HttpRefusal

SMALL_BYTES = 64 * 1024
"""Limit of a body that is not a picture, and of any body without valid credentials."""
LARGE_BYTES = 1 << 20
"""Size of a body from which memory is collected right after its request."""
MAX_LENGTH_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Allowance:
    """Limits of one route and method. `media`: patterns of the content types accepted, empty for any.

    A request without a content type counts as JSON.
    """

    max_bytes: int = SMALL_BYTES
    media: tuple[str, ...] = ()
    needs_credentials: bool = False

    def takes(self, content_type: bytes) -> bool:
        kind = content_type.decode("latin-1").partition(";")[0].strip().lower() or "application/json"
        return not self.media or any(fnmatchcase(kind, pattern) for pattern in self.media)


Allowances = Callable[[str, str], Allowance | None]
"""The allowance of a method and path; None where there is no route."""


class BodyLimit:
    """ASGI application in front of another that would spool a body of any length to the disk."""

    def __init__(self, application: ASGI3Application, allowance: Allowances, authenticate: Authenticate) -> None:
        self._application = application
        self._allowance = allowance
        self._authenticate = authenticate

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http"
        try:
            length = await self._checked_length(scope, dict(scope["headers"]))
        except HttpRefusal as refusal:
            await refusal.send(send)
            return
        await self._application(scope, receive, send)
        if length > LARGE_BYTES:
            # Cycles keep Django's request and its body, and the collector's own schedule counts objects, not bytes.
            gc.collect(1)

    async def _checked_length(self, scope: HTTPScope, headers: dict[bytes, bytes]) -> int:
        """Length of the body in bytes. Raises HttpRefusal."""
        if b"transfer-encoding" in headers:
            raise HttpRefusal(ErrorCode.LENGTH_REQUIRED, "send a Content-Length")
        length = _length(headers.get(b"content-length", b"0"))
        if not length:
            return 0
        allowance = self._allowance(scope["method"], scope["path"])
        if allowance is None:
            raise HttpRefusal(ErrorCode.NOT_FOUND, "there is nothing at this path")
        # A client that sent `Expect: 100-continue` gets its 401 before the go-ahead.
        if length > SMALL_BYTES or (b"expect" in headers and allowance.needs_credentials):
            await check_credentials(scope, self._authenticate)
        if length > allowance.max_bytes:
            raise HttpRefusal(ErrorCode.REQUEST_TOO_LARGE, f"this request may have {allowance.max_bytes} bytes")
        if not allowance.takes(headers.get(b"content-type", b"")):
            raise HttpRefusal(ErrorCode.UNSUPPORTED_MEDIA_TYPE, f"send {' or '.join(allowance.media)}")
        return length


def _length(text: bytes) -> int:
    if not text.isdigit() or len(text) > MAX_LENGTH_DIGITS:
        raise HttpRefusal(ErrorCode.REQUEST_TOO_LARGE, "the Content-Length is no length that a request may have")
    return int(text)

"""HTTP Strict Transport Security (RFC 6797) on every answer over TLS, whichever application gives it."""

from __future__ import annotations

from typing import Any

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope


class StrictTransport:
    """ASGI application in front of another. The server tells a request's scheme: https where it has the certificate
    itself, or where a trusted proxy says so."""

    def __init__(self, application: ASGI3Application, max_age_s: int) -> None:
        self._application = application
        self._header = (b"strict-transport-security", f"max-age={max_age_s}".encode()) if max_age_s else None

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if self._header and scope["type"] == "http" and scope.get("scheme") == "https":
            send = _with_header(send, self._header)
        await self._application(scope, receive, send)


def _with_header(send: ASGISendCallable, header: tuple[bytes, bytes]) -> ASGISendCallable:
    async def wrapped(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], header]}
        await send(message)

    return wrapped

"""Error answers given before Django, with the same envelope as every other error."""

from __future__ import annotations

import json
from http import HTTPStatus

from asgiref.typing import ASGISendCallable

from logs import request_id
from vocabulary.errors import ErrorCode, ServiceError
from web.envelope import envelope, waiting_headers

Headers = tuple[tuple[bytes, bytes], ...]


class HttpRefusal(ServiceError):
    """Refusal of a request, with headers of its own."""

    def __init__(self, code: ErrorCode, message: str, headers: Headers = (), retry_after_ms: int | None = None) -> None:
        super().__init__(code, message, headers, retry_after_ms)
        self.code = code
        self.headers = headers
        self.retry_after_ms = retry_after_ms

    @property
    def message(self) -> str:
        return str(self.args[1])

    def body(self, id_: str) -> bytes:
        """The JSON envelope; `id_` is the request's id."""
        return json.dumps(envelope(self, id_)).encode()

    def answer(self, id_: str) -> bytes:
        """The whole answer in bytes, for a connection that ends with it."""
        body = self.body(id_)
        lines = [b"HTTP/1.1 %d %s" % (self.status, HTTPStatus(self.status).phrase.encode())]
        lines += [b"%s: %s" % header for header in self._all_headers(body)]
        lines += [b"x-request-id: " + id_.encode(), b"", body]
        return b"\r\n".join(lines)

    async def send(self, send: ASGISendCallable) -> None:
        """Answer an ASGI request without reading more of it."""
        body = self.body(request_id.current.get())
        headers = self._all_headers(body)
        await send({"type": "http.response.start", "status": self.status, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _all_headers(self, body: bytes) -> list[tuple[bytes, bytes]]:
        return [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
            *self.headers,
            *((name.lower().encode(), value.encode()) for name, value in waiting_headers(self).items()),
        ]

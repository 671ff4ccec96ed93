"""Answers of whoever stands before Django: the same envelope as every other error."""

from __future__ import annotations

import json
import math
from http import HTTPStatus

from asgiref.typing import ASGISendCallable

from ops import request_id

Headers = tuple[tuple[bytes, bytes], ...]


class HttpRefusal(Exception):
    """A request that is refused: HTTP status, stable code, words, headers of its own, and when to try again."""

    def __init__(
        self, status: int, code: str, message: str, headers: Headers = (), retry_after_ms: int | None = None
    ) -> None:
        super().__init__(status, code, message, headers, retry_after_ms)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers
        self.retry_after_ms = retry_after_ms
        if retry_after_ms is not None:
            self.headers = (*headers, (b"retry-after", str(math.ceil(retry_after_ms / 1000)).encode()))

    def body(self, asked_by: str) -> bytes:
        """The JSON envelope; `asked_by` is the request's id."""
        details = None if self.retry_after_ms is None else {"retry_after_ms": self.retry_after_ms}
        error = {"code": self.code, "message": self.message, "details": details}
        return json.dumps({"error": error, "request_id": asked_by}).encode()

    def answer(self, asked_by: str) -> bytes:
        """The whole answer, for a connection that ends with it."""
        body = self.body(asked_by)
        lines = [b"HTTP/1.1 %d %s" % (self.status, HTTPStatus(self.status).phrase.encode())]
        lines += [b"%s: %s" % header for header in self._all_headers(body)]
        lines += [b"x-request-id: " + asked_by.encode(), b"", body]
        return b"\r\n".join(lines)

    async def send(self, send: ASGISendCallable) -> None:
        """Answer an ASGI request, of which nothing more is read."""
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
        ]

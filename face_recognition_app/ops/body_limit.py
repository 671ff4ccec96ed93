"""Requests that are too long are refused before a byte of them is stored."""

from __future__ import annotations

import json
from typing import Any

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

from ops import request_id

MAX_JSON_BYTES = 64 * 1024


class BodyLimit:
    """ASGI application in front of another, which would spool a body of any length to the disk.

    Pictures may have `max_bytes`; everything else is parsed on the event loop and stays small.
    """

    def __init__(self, application: ASGI3Application, max_bytes: int) -> None:
        self._application = application
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        refusal = self._refusal(dict(scope["headers"])) if scope["type"] == "http" else None
        if refusal is None:
            await self._application(scope, receive, send)
        else:
            await _answer(send, *refusal)

    def _refusal(self, headers: dict[bytes, bytes]) -> tuple[int, str, str] | None:
        if b"transfer-encoding" in headers:
            return 411, "length_required", "send a Content-Length"
        pictures = headers.get(b"content-type", b"").lower().startswith((b"image/", b"multipart/"))
        allowed = self._max_bytes if pictures else MAX_JSON_BYTES
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > allowed:
            return 413, "request_too_large", f"this request may have {allowed} bytes"
        return None


async def _answer(send: ASGISendCallable, status: int, code: str, message: str) -> None:
    error: dict[str, Any] = {"code": code, "message": message, "details": None}
    body = json.dumps({"error": error, "request_id": request_id.current.get()}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})

"""Security headers of every answer that Django gives."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from web.middleware import AsyncMiddleware

_HEADERS = {
    # 'self' covers the socket, too: CSP 3 lets a source of http or https match ws or wss of the same host and port.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class SecurityHeaders(AsyncMiddleware):
    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = await self._get_response(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

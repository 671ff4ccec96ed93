"""The path prefix of FACE_PUBLIC_URL, taken off before anything looks at a path."""

from __future__ import annotations

from typing import Any

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

from config.public_url import PublicUrl


class PublicPrefix:
    """ASGI application in front of another.

    Some proxies take the prefix off and some pass it on, and probes come without one: a path that does not begin with
    it is taken as it is.
    """

    def __init__(self, application: ASGI3Application, public_url: PublicUrl | None) -> None:
        self._application = application
        self._prefix = "" if public_url is None else public_url.prefix
        self._page = f"{public_url}/".encode()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if self._prefix and scope["type"] != "lifespan":
            path = scope["path"]
            if path == self._prefix and scope["type"] == "http":
                await self._redirect_to_page(send)  # The page's links are relative, and need the slash.
                return
            if path.startswith(f"{self._prefix}/"):
                inner: Any = {**scope, "path": path.removeprefix(self._prefix)}
                scope = inner
        await self._application(scope, receive, send)

    async def _redirect_to_page(self, send: ASGISendCallable) -> None:
        headers = ((b"location", self._page), (b"content-length", b"0"))
        await send({"type": "http.response.start", "status": 308, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

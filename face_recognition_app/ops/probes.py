"""What is answered before Django: health, readiness, the pools and the metrics."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

from ops import metrics, request_id
from ops.pool_status import pool_status
from ops.settings import Settings

Answer = tuple[int, str, bytes]
PATHS = ("/api/health/", "/api/ready/", "/api/pool/status/", "/metrics")
ReadinessCheck = Callable[[], Awaitable[dict[str, str]]]


class Probes:
    """ASGI application in front of another: gives requests their id and answers the probes itself."""

    def __init__(self, application: ASGI3Application, settings: Settings, check: ReadinessCheck) -> None:
        self._application = application
        self._settings = settings
        self._check = check

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        chosen = request_id.choose(list(scope["headers"]))
        token = request_id.current.set(chosen)
        try:
            if scope["type"] == "http":
                await self._http(scope, receive, _with_header(send, chosen))
            else:
                await self._application(scope, receive, send)
        finally:
            request_id.current.reset(token)

    async def _http(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        reading = scope["method"] in ("GET", "HEAD")
        answer = await self._answer(scope["path"]) if reading else _not_allowed(scope["path"])
        if answer is None:
            await self._application(scope, receive, send)
            return
        status, content_type, body = answer
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
        content = b"" if scope["method"] == "HEAD" else body
        await send({"type": "http.response.body", "body": content, "more_body": False})

    async def _answer(self, path: str) -> Answer | None:
        match path:
            case "/api/health/":
                return _json(200, {"status": "ok", "pid": os.getpid()})
            case "/api/ready/":
                report = await self._check()
                ready = all(state == "ok" for state in report.values())
                status = "ready" if ready else "not_ready"
                return _json(200 if ready else 503, {"status": status, "components": report})
            case "/api/pool/status/":
                status_of_all = await asyncio.to_thread(
                    pool_status, self._settings.run_dir, self._settings.mesh_backend
                )
                return _json(200, status_of_all)
            case "/metrics":
                text = await asyncio.to_thread(metrics.exposition, self._settings.run_dir)
                return 200, metrics.CONTENT_TYPE, text
        return None


def _not_allowed(path: str) -> Answer | None:
    if path not in PATHS:
        return None
    error = {"code": "method_not_allowed", "message": "GET only", "details": None}
    return _json(405, {"error": error, "request_id": request_id.current.get()})


def _json(status: int, content: dict[str, Any]) -> Answer:
    return status, "application/json", json.dumps(content).encode()


def _with_header(send: ASGISendCallable, chosen: str) -> ASGISendCallable:
    async def wrapped(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"x-request-id", chosen.encode())]}
        await send(message)

    return wrapped

"""Health, readiness, pool status and metrics, answered before Django."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from prometheus_client.registry import Collector

from config.settings import Settings
from logs import request_id
from monitoring.exposition import CONTENT_TYPE, exposition
from monitoring.pool_status import pool_status
from monitoring.readiness import ONE_NETWORK
from vocabulary.errors import ErrorCode
from web.access.status_access import StatusAccess
from web.refusal import HttpRefusal
from web.served import STATE_KEY, ServedRequests

HEALTH = "/api/health/"
PATHS = frozenset({HEALTH, "/api/ready/", "/api/pool/status/", "/metrics"})
READ_METHODS = ("GET", "HEAD")
ReadinessCheck = Callable[[HTTPScope], Awaitable[dict[str, str]]]


class Answer(NamedTuple):
    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class Probes:
    """ASGI application in front of another: gives requests their id and answers the probes itself."""

    def __init__(
        self,
        application: ASGI3Application,
        settings: Settings,
        check: ReadinessCheck,
        access: StatusAccess,
        collectors: Sequence[Collector] = (),
    ) -> None:
        self._application = application
        self._settings = settings
        self._check = check
        self._access = access
        self._collectors = collectors
        self._served = ServedRequests()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "lifespan":
            if "state" in scope:
                scope["state"][STATE_KEY] = self._served
            await self._application(scope, receive, send)
            return
        id_ = request_id.choose(scope["headers"])
        # The most frequent request, also under full load: answered with the least work.
        if scope["type"] == "http" and scope["path"] == HEALTH and scope["method"] in READ_METHODS:
            await _send(scope, send, _healthy(os.getpid()), id_)
            return
        token = request_id.current.set(id_)
        try:
            if scope["type"] != "http":
                await self._application(scope, receive, send)
                return
            await self._access.check(scope)
            if scope["path"] in PATHS:
                await _send(scope, send, await self._answer(scope), id_)
            else:
                self._served.total += 1
                await self._application(scope, receive, _with_header(send, id_))
        except HttpRefusal as refusal:
            await refusal.send(_with_header(send, id_))
        finally:
            request_id.current.reset(token)

    async def _answer(self, scope: HTTPScope) -> Answer:
        if scope["method"] not in READ_METHODS:
            raise HttpRefusal(ErrorCode.METHOD_NOT_ALLOWED, "GET only", ((b"allow", b"GET, HEAD"),))
        match scope["path"]:
            case "/api/ready/":
                report = await self._check(scope)
                ready = all(state in ("ok", ONE_NETWORK) for state in report.values())
                status = "ready" if ready else "not_ready"
                return _json(200 if ready else 503, {"status": status, "components": report})
            case "/api/pool/status/":
                return _json(
                    200, await asyncio.to_thread(pool_status, self._settings.run_dir, self._settings.mesh_backend)
                )
            case _:
                text = await asyncio.to_thread(exposition, self._settings.run_dir, self._collectors)
                return _answer_of(200, CONTENT_TYPE, text)


@lru_cache(maxsize=1)
def _healthy(pid: int) -> Answer:
    """Cached by process: a worker may be forked from one that has answered."""
    return _json(200, {"status": "ok", "pid": pid})


def _json(status: int, content: dict[str, Any]) -> Answer:
    return _answer_of(status, "application/json", json.dumps(content).encode())


def _answer_of(status: int, content_type: str, body: bytes) -> Answer:
    headers = (
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    )
    return Answer(status, headers, body)


async def _send(scope: HTTPScope, send: ASGISendCallable, answer: Answer, id_: str) -> None:
    headers = (*answer.headers, (b"x-request-id", id_.encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers, "trailers": False})
    content = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": content, "more_body": False})


def _with_header(send: ASGISendCallable, id_: str) -> ASGISendCallable:
    async def wrapped(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"x-request-id", id_.encode())]}
        await send(message)

    return wrapped

"""Counts and times of requests, by route."""

from __future__ import annotations

import re
import time
from typing import Any

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from monitoring import metrics
from web.middleware import AsyncMiddleware
from web.probes import HEALTH, PATHS

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
STATIC = "/static/"
UNANSWERED = "none"
_CONVERTER = re.compile(r"<\w+:")
_ROUTE = "face.route"
"""Key of the scope."""


class RequestMetrics:
    """ASGI application in front of another. Health, the most frequent request, costs nothing here.

    A route is a path with its variables' names, as in /api/v1/subjects/<subject_id>/: what clients choose makes no new
    series.
    """

    def __init__(self, application: ASGI3Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] != "http" or scope["path"] == HEALTH:
            await self._application(scope, receive, send)
            return
        began = time.monotonic()
        status = UNANSWERED

        async def noting(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._application(scope, receive, noting)
        finally:
            route = _route_of(scope)
            method = scope["method"] if scope["method"] in METHODS else OTHER
            metrics.requests.labels(method, route, status).inc()
            metrics.request_seconds.labels(route).observe(time.monotonic() - began)


class RouteNote(AsyncMiddleware):
    """Middleware that tells RequestMetrics which route Django has found."""

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = await self._get_response(request)
        if request.resolver_match is not None:
            route = _CONVERTER.sub("<", request.resolver_match.route)
            request.scope[_ROUTE] = f"/{route}"  # type: ignore[attr-defined]  # an ASGIRequest
        return response


def _route_of(scope: Any) -> str:
    path: str = scope["path"]
    if path in PATHS:
        return path
    if path.startswith(STATIC):
        return STATIC
    return str(scope.get(_ROUTE, OTHER))

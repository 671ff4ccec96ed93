"""Refusal of requests for a host that is not served, before Django and the consumer see them."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope, WebSocketScope
from django.http.request import split_domain_port, validate_host

from logs.advice import warn_once
from vocabulary.errors import ErrorCode
from web.refusal import HttpRefusal

logger = logging.getLogger(__name__)

HOST_ADVICE = (
    "this host is not served here: set FACE_PUBLIC_URL to the address that browsers use, or list the host in "
    "FACE_ALLOWED_HOSTS; a proxy should pass Host on"
)
REFUSED = HttpRefusal(ErrorCode.BAD_REQUEST, HOST_ADVICE)


class AllowedHosts:
    """ASGI application in front of another. `no_such_host` answers a socket: it accepts first, since a browser learns
    nothing from a refused handshake."""

    def __init__(self, application: ASGI3Application, allowed: Iterable[str], no_such_host: ASGI3Application) -> None:
        self._application = application
        self._allowed = tuple(allowed)
        self._no_such_host = no_such_host

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] != "lifespan"
        host = _host(scope)
        domain, _ = split_domain_port(host)
        if domain and validate_host(domain, self._allowed):
            await self._application(scope, receive, send)
            return
        warn_once(logger, HOST_ADVICE)
        logger.info("a request for host %r was refused", host)
        if scope["type"] == "http":
            await REFUSED.send(send)
        else:
            await self._no_such_host(scope, receive, send)


def _host(scope: HTTPScope | WebSocketScope) -> str:
    """The host as Django reads it: the header, or the address that the request came to."""
    header = dict(scope["headers"]).get(b"host")
    if header is not None:
        return header.decode("latin-1")
    server = scope.get("server")
    return server[0] if server else "unknown"

"""The Gunicorn worker."""

from __future__ import annotations

import asyncio
import socket
import sys
from asyncio.transports import BaseTransport
from functools import partial
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from ops.draining import say_farewell
from ops.retirement import Retirement
from ops.settings import load
from ops.siblings import Siblings

BASE64_OVERHEAD = 4 / 3
ENVELOPE_BYTES = 64 * 1024
UNREAD_ANSWERS_TIMEOUT_MS = 60_000
TICKS_BETWEEN_LOOKS = 50
"""At the size of the worker. Uvicorn ticks ten times a second."""


class FairWebSockets(WebSocketsSansIOProtocol):
    """Uvicorn's sockets, of which none can hold up the others or make the worker grow."""

    def __init__(self, siblings: Siblings, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._siblings = siblings

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self._siblings.opened()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._siblings.closed()

    async def receive(self) -> Any:
        message = await super().receive()
        # Thousands of small messages arrive in one read, and none of them would let the loop turn to anyone else.
        if not self.queue.empty():
            await asyncio.sleep(0)
        return message

    def handle_ping(self) -> None:
        # Nothing else bounds pongs: a client that pings without reading would have them pile up here.
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()


class SharingHttp(HttpToolsProtocol):
    """Uvicorn's HTTP, where a request that opens a socket goes to the worker that has the fewest."""

    def __init__(self, siblings: Siblings, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._siblings = siblings

    def handle_websocket_upgrade(self) -> None:
        connection = self.transport.get_extra_info("socket")
        if self.scheme == "http" and self._siblings.hand_over(connection.fileno(), self._request()):
            self.connections.discard(self)
            self.transport.abort()
        else:
            super().handle_websocket_upgrade()

    def _request(self) -> bytes:
        lines = [b"%s %s HTTP/1.1" % (self.scope["method"].encode(), self.url)]
        lines += [b"%s: %s" % header for header in self.scope["headers"]]
        return b"\r\n".join([*lines, b"", b""])


class FaceServer(Server):
    """Shares sockets with the other workers, ends without any when it has grown too large, and tells every socket's
    client before Uvicorn closes it with 1012."""

    def __init__(self, config: Config, siblings: Siblings, retirement: Retirement) -> None:
        super().__init__(config)
        self._siblings = siblings
        self._retirement = retirement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._siblings.join(self._new_socket)

    async def on_tick(self, counter: int) -> bool:
        if counter and counter % TICKS_BETWEEN_LOOKS == 0:
            self._retirement.consider()
        return await super().on_tick(counter) or self._retirement.is_over

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._siblings.leave()
        await say_farewell()
        await super().shutdown(sockets)

    def _new_socket(self) -> FairWebSockets:
        return FairWebSockets(
            self._siblings, config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


class FaceWorker(UvicornWorker):  # type: ignore[misc]  # the package is not typed
    """Uvicorn with a message limit that fits a base64 frame, and no compression: JPEG does not shrink."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "lifespan": "on",
        "ws_per_message_deflate": False,
        "ws_max_size": int(load().max_image_bytes * BASE64_OVERHEAD) + ENVELOPE_BYTES,
    }

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        settings = load()
        siblings = Siblings(settings.run_dir)
        self.config.http = partial(SharingHttp, siblings)
        self.config.ws = partial(FairWebSockets, siblings)
        server = FaceServer(
            self.config, siblings, Retirement(settings.run_dir, settings.worker_max_memory_bytes, siblings)
        )
        self._install_sigquit_handler()
        for listener in self.sockets:
            drop_who_reads_nothing(listener)
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


def drop_who_reads_nothing(listener: socket.socket) -> None:
    """Connections inherit it: the system ends one whose peer takes nothing of what was sent, which no close could."""
    if listener.family in (socket.AF_INET, socket.AF_INET6):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_ANSWERS_TIMEOUT_MS)

"""The Gunicorn worker."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from ops.draining import say_farewell
from ops.settings import load

BASE64_OVERHEAD = 4 / 3
ENVELOPE_BYTES = 64 * 1024
UNREAD_ANSWERS_TIMEOUT_MS = 60_000


class FairWebSockets(WebSocketsSansIOProtocol):
    """Uvicorn's sockets, of which none can hold up the others or make the worker grow."""

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


class FarewellServer(Server):
    """Tells every socket's client before Uvicorn closes it with 1012."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await say_farewell()
        await super().shutdown(sockets)


class FaceWorker(UvicornWorker):  # type: ignore[misc]  # the package is not typed
    """Uvicorn with a message limit that fits a base64 frame, and no compression: JPEG does not shrink."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "http": "httptools",
        "ws": FairWebSockets,
        "lifespan": "on",
        "ws_per_message_deflate": False,
        "ws_max_size": int(load().max_image_bytes * BASE64_OVERHEAD) + ENVELOPE_BYTES,
    }

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = FarewellServer(config=self.config)
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

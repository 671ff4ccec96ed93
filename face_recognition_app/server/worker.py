"""The Gunicorn worker."""

from __future__ import annotations

import resource
import socket
import sys
from functools import partial
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.config import Config
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from ops.settings import load
from server.bounded_http import HttpLimits
from server.door import Door
from server.draining import say_farewell
from server.protocols import FairWebSockets, SharingHttp
from server.retirement import Retirement
from server.siblings import Siblings

BASE64_OVERHEAD = 4 / 3
ENVELOPE_BYTES = 64 * 1024
UNREAD_ANSWERS_TIMEOUT_MS = 60_000
SHUTDOWN_S = 20
"""For requests under way. Gunicorn's own patience ends ten seconds later, and with an abort."""
TICKS_BETWEEN_LOOKS = 50
"""At the size of the worker. Uvicorn ticks ten times a second."""


class FaceServer(Server):
    """Shares sockets with the other workers, ends without any when it has grown too large, and tells every socket's
    client before Uvicorn closes it with 1012."""

    def __init__(
        self, config: Config, new_socket: partial[FairWebSockets], siblings: Siblings, retirement: Retirement
    ) -> None:
        super().__init__(config)
        self._new_socket = new_socket
        self._siblings = siblings
        self._retirement = retirement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._siblings.join(self._connected)

    async def on_tick(self, counter: int) -> bool:
        if counter and counter % TICKS_BETWEEN_LOOKS == 0:
            self._retirement.consider()
        return await super().on_tick(counter) or self._retirement.is_over

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._siblings.leave()
        await say_farewell()
        await super().shutdown(sockets)

    def _connected(self) -> FairWebSockets:
        return self._new_socket(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


class FaceWorker(UvicornWorker):  # type: ignore[misc]  # the package is not typed
    """Uvicorn with a message limit that fits a base64 frame, and no compression: JPEG does not shrink."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "uvloop",
        "lifespan": "on",
        "ws_per_message_deflate": False,
        "timeout_graceful_shutdown": SHUTDOWN_S,
        "ws_max_size": int(load().max_image_bytes * BASE64_OVERHEAD) + ENVELOPE_BYTES,
    }

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        settings = load()
        siblings = Siblings(settings.run_dir)
        retirement = Retirement(settings.run_dir, settings.worker_max_memory_bytes, siblings)
        new_socket = partial(FairWebSockets, siblings, settings.max_messages_per_s)
        self.config.http = partial(SharingHttp, siblings, Door(settings.max_http_connections), HttpLimits.of(settings))
        self.config.ws = new_socket
        server = FaceServer(self.config, new_socket, siblings, retirement)
        self._install_sigquit_handler()
        allow_many_sockets()
        for listener in self.sockets:
            drop_who_reads_nothing(listener)
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)


def drop_who_reads_nothing(listener: socket.socket) -> None:
    """Connections inherit it: the system ends one whose peer takes nothing of what was sent, which no close could."""
    if listener.family in (socket.AF_INET, socket.AF_INET6):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_ANSWERS_TIMEOUT_MS)


def allow_many_sockets() -> None:
    """The usual limit of open files is 1,024, far below what a worker is asked to hold."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

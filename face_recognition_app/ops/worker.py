"""The Gunicorn worker."""

from __future__ import annotations

import socket
import sys
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from ops.draining import say_farewell
from ops.settings import load

BASE64_OVERHEAD = 4 / 3
ENVELOPE_BYTES = 64 * 1024


class FarewellServer(Server):
    """Tells every socket's client before Uvicorn closes it with 1012."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await say_farewell()
        await super().shutdown(sockets)


class FaceWorker(UvicornWorker):  # type: ignore[misc]  # the package is not typed
    """Uvicorn with a message limit that fits a base64 frame, and no compression: JPEG does not shrink."""

    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "auto",
        "http": "auto",
        "lifespan": "on",
        "ws_per_message_deflate": False,
        "ws_max_size": int(load().max_image_bytes * BASE64_OVERHEAD) + ENVELOPE_BYTES,
    }

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = FarewellServer(config=self.config)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

"""The ASGI application: probes in front, then the socket or Django."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

import django
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.handlers.asgi import ASGIHandler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "face_app.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from face_app.lifespan import lifespan  # noqa: E402
from ops.body_limit import BodyLimit  # noqa: E402
from ops.probes import Probes  # noqa: E402
from ops.readiness import check_components  # noqa: E402
from ops.service import service_settings  # noqa: E402
from ops.strict_transport import StrictTransport  # noqa: E402
from recognition import runtime as runtimes  # noqa: E402
from recognition.answers import error_message  # noqa: E402
from recognition.consumer import FaceConsumer  # noqa: E402
from wire.errors import UnknownToken  # noqa: E402

logger = logging.getLogger(__name__)


async def _readiness() -> dict[str, str]:
    try:
        runtime = await asyncio.to_thread(runtimes.current)
    except Exception as error:
        logger.warning("not ready: %s", error)
        return {"models": type(error).__name__}
    return await runtime.database.run(check_components)


async def _no_such_socket(scope: Any, receive: Any, send: Any) -> None:
    """Refusals are accepted first: a browser is told nothing of a refused handshake."""
    error = UnknownToken("there is no such socket; use the session's websocket_url")
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": error_message(error).model_dump_json(exclude_none=True)})
    await send({"type": "websocket.close", "code": error.close_code})


class DjangoApplication(ASGIHandler):
    """Without the thread that Django starts and ends for each request: the little that is not asynchronous, in signals
    and middleware, is done on one that all share. What takes time has threads of its own (recognition.database)."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.handle(scope, receive, send)


# Django's path() is typed for views, and each library has ASGI types of its own.
socket: Any = FaceConsumer.as_asgi()
no_such_socket: Any = _no_such_socket
django_application: Any = DjangoApplication()

application = StrictTransport(
    Probes(
        ProtocolTypeRouter(
            {
                "lifespan": lifespan,
                "http": BodyLimit(django_application, settings.DATA_UPLOAD_MAX_MEMORY_SIZE),
                "websocket": URLRouter(
                    [path("ws/auth/process-image/<str:token>/", socket), re_path("", no_such_socket)]
                ),
            }
        ),
        service_settings(),
        _readiness,
    ),
    service_settings().hsts_max_age_s,
)

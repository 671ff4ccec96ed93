"""The ASGI application: probes in front, then the socket or Django."""

from __future__ import annotations

import os
from typing import Any

import django
from channels.routing import ProtocolTypeRouter, URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "face_app.settings")
django.setup()

from django.urls import path  # noqa: E402

from face_app.lifespan import lifespan  # noqa: E402
from ops.probes import Probes  # noqa: E402
from ops.readiness import check_components  # noqa: E402
from ops.service import service_settings  # noqa: E402
from recognition import runtime as runtimes  # noqa: E402
from recognition.consumer import FaceConsumer  # noqa: E402


async def _readiness() -> dict[str, str]:
    return await runtimes.current().database.run(check_components)


socket: Any = FaceConsumer.as_asgi()  # Django's path() is typed for views only.

application = Probes(
    ProtocolTypeRouter(
        {
            "lifespan": lifespan,
            "http": get_asgi_application(),
            "websocket": URLRouter([path("ws/auth/process-image/<str:token>/", socket)]),
        }
    ),
    service_settings(),
    _readiness,
)

"""The service's application with a warm-up that takes BENCH_WARM_UP_S seconds longer, as on a loaded machine."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from face_app.asgi import application as warm_application

_WARM_UP_S = float(os.environ["BENCH_WARM_UP_S"])


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await asyncio.sleep(_WARM_UP_S)
    await warm_application(scope, receive, send)

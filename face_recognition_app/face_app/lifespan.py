"""Start and stop of a worker: ready only when warmed up; stopped only when what was in work is done."""

from __future__ import annotations

import asyncio
import logging

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from recognition import runtime as runtimes

logger = logging.getLogger(__name__)


async def lifespan(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await asyncio.to_thread(runtimes.current)
            except Exception as error:
                logger.exception("the worker cannot start")
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            await send({"type": "lifespan.startup.complete"})
        else:
            await asyncio.to_thread(runtimes.close)
            await send({"type": "lifespan.shutdown.complete"})
            return

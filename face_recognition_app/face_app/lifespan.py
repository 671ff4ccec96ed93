"""Start and stop of a worker: ready only when warmed up; stopped only when what was in work is done."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable

from config.service import service_settings
from config.settings import Settings
from database.connections import good_connection
from database.outages import outage_of
from recognition.preparation import prepare
from recognition.retention.rounds import keep_house
from recognition.watching import keep_watch
from recognition.worker import STATE_KEY, Worker
from scheduling.threads import StartedThreads
from server import open_sockets
from tenants.demo import key_file

logger = logging.getLogger(__name__)

LOOP_THREADS = 4
"""For what takes no time, and must not be done on the event loop."""


def _make_ready(settings: Settings) -> None:
    """A worker that starts in an outage does start, and is not ready: ending would end its siblings, too.

    A database file that is gone is not replaced by an empty one: where there is a demo tenant, there was a database.
    """
    is_new = not key_file(settings).exists()
    try:
        with good_connection():
            prepare(settings, logger.debug, new_database=is_new)
    except Exception as error:
        if outage_of(error) is None:
            raise
        logger.warning("the database was not looked at for migrations: run manage.py prepare if some are missing")


@sync_to_async
def start_shared_thread() -> None:
    """The one on which Django does what is not asynchronous: it is there from the start, like every other."""


class Lifespan:
    """ASGI application of the lifespan scope: starts the worker, leaves it in the state of every scope, and ends it."""

    def __init__(self, start_worker: Callable[[Settings], Worker]) -> None:
        self._start_worker = start_worker

    async def __call__(self, scope: Any, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await receive()  # The startup.
        loop_threads = StartedThreads(LOOP_THREADS, "loop")
        asyncio.get_running_loop().set_default_executor(loop_threads)
        await start_shared_thread()
        try:
            worker = await asyncio.to_thread(self._start)
        except Exception as error:
            logger.exception("the worker cannot start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        scope["state"] |= {STATE_KEY: worker, open_sockets.STATE_KEY: worker.open_sockets}
        housekeeping = asyncio.create_task(keep_house(worker))
        watch = asyncio.create_task(keep_watch(worker, loop_threads))
        await send({"type": "lifespan.startup.complete"})
        await receive()  # The shutdown.
        housekeeping.cancel()
        await asyncio.to_thread(worker.close)  # Watched to its end: it waits for what is in work.
        watch.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    def _start(self) -> Worker:
        """In development every way to start makes ready what is missing; elsewhere that is a step of its own."""
        settings = service_settings()
        if settings.development:
            _make_ready(settings)
        worker = self._start_worker(settings)
        # What is loaded by now stays. To look through it for garbage again and again stops every thread for 0.15 s.
        gc.collect()
        gc.freeze()
        return worker

"""Start and stop of a worker: ready only when warmed up; stopped only when what was in work is done."""

from __future__ import annotations

import asyncio
import gc
import logging

from asgiref.sync import sync_to_async
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope

from config.service import service_settings
from config.settings import Settings
from database.connections import good_connection
from database.outages import outage_of
from recognition import runtime as runtimes
from recognition.preparation import prepare
from recognition.retention.rounds import keep_house
from recognition.runtime import Runtime
from recognition.watching import keep_watch
from scheduling.threads import StartedThreads
from tenants.demo import key_file

logger = logging.getLogger(__name__)

LOOP_THREADS = 4
"""For what takes no time, and must not be done on the event loop."""


def _start() -> Runtime:
    """In development every way to start makes ready what is missing; elsewhere that is a step of its own."""
    settings = service_settings()
    if settings.development:
        _make_ready(settings)
    runtime = runtimes.current()
    # What is loaded by now stays. Looking through all of it for garbage again and again stops every thread for 0.15 s.
    gc.collect()
    gc.freeze()
    return runtime


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


async def lifespan(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    housekeeping: asyncio.Task[None] | None = None
    watch: asyncio.Task[None] | None = None
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            loop_threads = StartedThreads(LOOP_THREADS, "loop")
            asyncio.get_running_loop().set_default_executor(loop_threads)
            await start_shared_thread()
            try:
                runtime = await asyncio.to_thread(_start)
            except Exception as error:
                logger.exception("the worker cannot start")
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            housekeeping = asyncio.create_task(keep_house(runtime))
            watch = asyncio.create_task(keep_watch(runtime, loop_threads))
            await send({"type": "lifespan.startup.complete"})
        else:
            if housekeeping is not None:
                housekeeping.cancel()
            await asyncio.to_thread(runtimes.close)  # Watched to its end: it waits for what is in work.
            if watch is not None:
                watch.cancel()
            await send({"type": "lifespan.shutdown.complete"})
            return

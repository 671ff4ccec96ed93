"""Starts and stops a worker: ready only when warmed up; stopped only when the work in progress is done."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from asgiref.typing import ASGIReceiveCallable, ASGISendCallable

from config.processes.memory import give_freed_memory_back
from config.service import service_settings
from config.settings import Settings
from database.connections import good_connection
from database.outages import outage_of
from recognition.preparation import prepare
from recognition.retention.rounds import run_periodic_work
from recognition.watching import run_watchdog
from recognition.worker import STATE_KEY, Worker
from scheduling.threads import StartedThreads
from server.connections import open_sockets
from tenants.demo import key_file

logger = logging.getLogger(__name__)

LOOP_THREADS = 4
"""Threads of the event loop's default executor, for short blocking calls."""


def _make_ready(settings: Settings) -> None:
    """Prepare the database. In an outage only log: a worker that fails to start would end its siblings, too.

    A lost SQLite file is not replaced by an empty one: the demo tenant's key file shows that there was a database.
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
    """Start the thread on which asgiref runs Django's synchronous code, so that no request has to."""


class Lifespan:
    """ASGI application of the lifespan scope: starts the worker, puts it into the state of every scope, closes it."""

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
        periodic_work = asyncio.create_task(run_periodic_work(worker))
        watch = asyncio.create_task(run_watchdog(worker, loop_threads))
        await send({"type": "lifespan.startup.complete"})
        await receive()  # The shutdown.
        periodic_work.cancel()
        await asyncio.to_thread(worker.close)  # The watchdog still runs: closing waits for the work in progress.
        watch.cancel()
        await send({"type": "lifespan.shutdown.complete"})

    def _start(self) -> Worker:
        """Start the worker; in development prepare first what is missing, elsewhere `manage.py prepare` does."""
        settings = service_settings()
        if settings.development:
            _make_ready(settings)
        worker = self._start_worker(settings)
        # Move what is loaded out of the collector's reach: a full collection would pause all threads for 0.15 s.
        gc.collect()
        gc.freeze()
        give_freed_memory_back()  # Loading networks leaves some 25 MB of it.
        return worker

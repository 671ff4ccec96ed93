"""The watchdog's rounds in a worker."""

from __future__ import annotations

import asyncio
import logging

from monitoring.watchdog import LOOK_EVERY_S, Watchdog, end_this_process
from recognition.worker import Worker
from scheduling.threads import StartedThreads

logger = logging.getLogger(__name__)


async def keep_watch(worker: Worker, loop_threads: StartedThreads) -> None:
    """Look at all threads again and again, until cancelled, and publish what was seen."""
    watchdog = Watchdog(
        worker.executor.threads,
        [worker.database.threads, loop_threads],
        worker.settings.stuck_after_s,
        end_this_process,
    )
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            watchdog.look()
            worker.stats_file.publish()
        except Exception:
            logger.exception("the watchdog could not look; it looks again")

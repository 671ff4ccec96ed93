"""Runs the watchdog in a worker."""

from __future__ import annotations

import asyncio
import logging

from monitoring.watchdog import LOOK_EVERY_S, Watchdog, end_this_process
from recognition.worker import Worker
from scheduling.threads import StartedThreads

logger = logging.getLogger(__name__)


async def run_watchdog(worker: Worker, loop_threads: StartedThreads) -> None:
    """Check all threads every LOOK_EVERY_S and publish the worker's statistics, until cancelled."""
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
            worker.board.publish()
        except Exception:
            logger.exception("the watchdog could not look; it looks again")

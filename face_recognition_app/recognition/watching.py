"""Runs the watchdog in a worker."""

from __future__ import annotations

import asyncio
import logging

from database.connections import open_connections
from monitoring import metrics
from monitoring.watchdog import CHECK_INTERVAL_S, Watchdog, end_this_process
from recognition.worker import Worker
from scheduling.threads import StartedThreads

logger = logging.getLogger(__name__)


async def run_watchdog(worker: Worker, loop_threads: StartedThreads) -> None:
    """Check all threads every CHECK_INTERVAL_S and publish the worker's statistics, until cancelled."""
    watchdog = Watchdog(
        worker.executor.threads,
        [worker.database.threads, loop_threads],
        worker.settings.stuck_after_s,
        end_this_process,
    )
    while True:
        await asyncio.sleep(CHECK_INTERVAL_S)
        try:
            watchdog.check()
            worker.stats_file.publish()
            metrics.database_connections.set(open_connections())
        except Exception:
            logger.exception("the watchdog could not check the threads; it tries again")

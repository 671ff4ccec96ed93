"""Periodic work without a request: end abandoned sessions at their time limit, and delete old rows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from config.processes.memory import give_freed_memory_back
from database.connections import close_moved_files
from recognition.deciding import Deciding
from recognition.retention.rules import enforce_in_turn
from recognition.sessions.lifecycle import expire_overdue
from recognition.worker import Worker
from tenants.usage import key_uses
from wire.errors import Unavailable

logger = logging.getLogger(__name__)

TASKS_EVERY_S = 10.0


def _catch_up(deciding: Deciding) -> None:
    for gallery in deciding.galleries:
        gallery.store.catch_up()


PERIODIC_TASKS: tuple[tuple[str, Callable[[Deciding], object]], ...] = (
    ("expiring overdue sessions", expire_overdue),
    ("noting when keys were used", lambda _: key_uses.write()),
    ("forgetting deleted secrets of templates", lambda deciding: deciding.gallery.protection.forget_deleted()),
    ("bringing galleries in memory up to date", _catch_up),
    ("giving freed memory back", lambda _: give_freed_memory_back()),
)
RETENTION_EVERY_S = 60.0
FILE_CHECK_EVERY_S = 1.0


async def run_periodic_work(worker: Worker) -> None:
    """Do one round after the other until cancelled. Safe in every worker: a decision is made once."""
    await asyncio.gather(_run_tasks(worker), _delete_old_rows(worker), _watch_files())


async def _run_tasks(worker: Worker) -> None:
    while True:
        await asyncio.sleep(TASKS_EVERY_S)
        for name, task in PERIODIC_TASKS:
            try:
                await worker.database.run(task, worker.deciding)
            except Unavailable:
                break  # Logged where the outage is detected, and not for every call.
            except Exception:
                logger.exception("%s failed; the next round tries again", name)


async def _delete_old_rows(worker: Worker) -> None:
    while True:
        await asyncio.sleep(RETENTION_EVERY_S)
        try:
            # In short calls, since stopping the worker waits for the current one.
            while await worker.database.run(enforce_in_turn, worker.deciding):
                pass
        except Unavailable:
            continue  # Logged where the outage is detected.
        except Exception:
            logger.exception("deleting old rows failed; the next round tries again")


async def _watch_files() -> None:
    """Close connections to a database file that was moved away."""
    while True:
        await asyncio.sleep(FILE_CHECK_EVERY_S)
        try:
            await asyncio.to_thread(close_moved_files)
        except Exception:
            logger.exception("a database file that was moved away is still open; the next look tries again")

"""What no request asks for: sessions that their clients left end at their time limit, and old rows go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from recognition.retention import enforce_in_turn
from recognition.runtime import Runtime
from recognition.sessions import settle_overdue

logger = logging.getLogger(__name__)

EVERY_S = 10.0
CHORES: tuple[tuple[str, Callable[[Runtime], object]], ...] = (("settling overdue sessions", settle_overdue),)
RETENTION_EVERY_S = 60.0


async def keep_house(runtime: Runtime) -> None:
    """Do one round after the other, until cancelled. Every worker may do so: a decision is made once."""
    await asyncio.gather(_do_chores(runtime), _delete_what_is_old(runtime))


async def _do_chores(runtime: Runtime) -> None:
    while True:
        await asyncio.sleep(EVERY_S)
        for name, chore in CHORES:
            try:
                await runtime.database.run(chore, runtime)
            except Exception:
                logger.exception("%s failed; the next round tries again", name)


async def _delete_what_is_old(runtime: Runtime) -> None:
    while True:
        await asyncio.sleep(RETENTION_EVERY_S)
        try:
            # In short calls, since whoever stops the worker waits for the one under way.
            while await runtime.database.run(enforce_in_turn, runtime):
                pass
        except Exception:
            logger.exception("deleting what is old failed; the next round tries again")

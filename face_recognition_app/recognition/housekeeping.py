"""What no request asks for: sessions that their clients left end at their time limit, and old rows go."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from recognition.retention import enforce_in_turn
from recognition.runtime import Runtime
from recognition.sessions import settle_overdue

logger = logging.getLogger(__name__)

Chore = tuple[str, Callable[[Runtime], object]]

EVERY_S = 10.0
CHORES: tuple[Chore, ...] = (("settling overdue sessions", settle_overdue),)
RETENTION_EVERY_S = 60.0
RETENTION_CHORES: tuple[Chore, ...] = (("deleting what is old", enforce_in_turn),)


async def keep_house(runtime: Runtime) -> None:
    """Do one round after the other, until cancelled. Every worker may do so: a decision is made once."""
    await asyncio.gather(_repeat(runtime, EVERY_S, CHORES), _repeat(runtime, RETENTION_EVERY_S, RETENTION_CHORES))


async def _repeat(runtime: Runtime, every_s: float, chores: tuple[Chore, ...]) -> None:
    while True:
        await asyncio.sleep(every_s)
        for name, chore in chores:
            try:
                await runtime.database.run(chore, runtime)
            except Exception:
                logger.exception("%s failed; the next round tries again", name)

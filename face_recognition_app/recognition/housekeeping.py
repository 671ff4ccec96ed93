"""What no request asks for: sessions that their clients left end at their time limit."""

from __future__ import annotations

import asyncio
import logging

from recognition.runtime import Runtime
from recognition.sessions import settle_overdue

logger = logging.getLogger(__name__)

SETTLE_EVERY_S = 10.0


async def keep_house(runtime: Runtime) -> None:
    """Settle overdue sessions again and again, until cancelled. Every worker may do so: a decision is made once."""
    while True:
        await asyncio.sleep(SETTLE_EVERY_S)
        try:
            await runtime.database.run(settle_overdue, runtime)
        except Exception:
            logger.exception("overdue sessions could not be settled; the next round tries again")

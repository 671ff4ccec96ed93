"""Notices to open sockets that their worker is about to end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Farewell = Callable[[], Awaitable[None]]

farewells: set[Farewell] = set()
"""The notice of each open socket, sent before the sockets are closed."""

FAREWELL_TIMEOUT_S = 1.0


async def say_farewell() -> None:
    """Send all notices concurrently; one that a client does not read is given up after FAREWELL_TIMEOUT_S."""
    calls = [asyncio.wait_for(farewell(), FAREWELL_TIMEOUT_S) for farewell in tuple(farewells)]
    await asyncio.gather(*calls, return_exceptions=True)

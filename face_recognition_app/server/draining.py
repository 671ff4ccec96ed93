"""Telling open sockets that this worker is about to go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Farewell = Callable[[], Awaitable[None]]

farewells: set[Farewell] = set()
"""One for each open socket, called before the sockets are closed."""

FAREWELL_TIMEOUT_S = 1.0


async def say_farewell() -> None:
    """Call every farewell at once; a client that does not read holds nobody up."""
    calls = [asyncio.wait_for(farewell(), FAREWELL_TIMEOUT_S) for farewell in tuple(farewells)]
    await asyncio.gather(*calls, return_exceptions=True)

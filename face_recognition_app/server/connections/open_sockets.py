"""The open sockets of one worker, and the notices to their clients before it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

Notice = Callable[[], Awaitable[None]]
"""Tells one client that the worker is about to end."""

STATE_KEY = "open_sockets"
"""In the lifespan's state: the application leaves its OpenSockets there, and the server sends their notices."""
NOTICE_TIMEOUT_S = 1.0


class OpenSockets:
    """Registers sockets with their notices; its length is their number. Used on the event loop only."""

    def __init__(self) -> None:
        self._notices: set[Notice] = set()

    def __len__(self) -> int:
        return len(self._notices)

    @contextmanager
    def registered(self, notice: Notice) -> Iterator[None]:
        """Register a socket for the time of the block."""
        self._notices.add(notice)
        try:
            yield
        finally:
            self._notices.discard(notice)

    async def send_notices(self) -> None:
        """Send all notices concurrently; one that a client does not read is given up after NOTICE_TIMEOUT_S."""
        calls = [asyncio.wait_for(notice(), NOTICE_TIMEOUT_S) for notice in tuple(self._notices)]
        await asyncio.gather(*calls, return_exceptions=True)

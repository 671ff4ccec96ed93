"""Accepts connections from the listener that all workers share, so that each worker holds about as many sockets.

The kernel has one queue of connections for all workers of a master, so a worker that is busy or dead holds none back.
But the worker that wakes first would take most of a burst. So a worker with more sockets than another yields until that
one has caught up, or has accepted nothing for a while. New connections count as sockets: a burst is accepted before any
of its requests has come.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from collections.abc import Callable
from ssl import SSLContext

from server.roster import Slot, Stage

logger = logging.getLogger(__name__)

YIELD_S = 0.001
"""Pause before the counts are compared again. Short: two workers that take turns accept about one connection in it."""
MAX_YIELDS = 200
"""Yields in a row during which the worker with the fewest sockets accepts nothing; after them this worker does not
yield for NO_YIELD_S. Yields are counted and not time: a worker that did not run itself has not yielded."""
NO_YIELD_S = 1.0
MAX_ACCEPTED_AT_ONCE = 64
"""Connections accepted in one turn of the event loop."""
ACCEPT_RETRY_S = 0.5
"""Pause after the system had no descriptor or memory for another connection."""
_TOLERANCE = 16
"""Tolerated imbalance: 1/16 of this worker's sockets."""


class SocketCount:
    """Publishes this worker's sockets to the other workers: the open ones, and new connections that may become some."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self.open = 0
        self._new = 0

    @property
    def is_draining(self) -> bool:
        return self._slot.stage is Stage.DRAINING

    @property
    def fewest_if_ahead(self) -> int | None:
        """The sockets of the worker with the fewest, if this worker has more; else None."""
        fewest = self._slot.fewest_elsewhere
        mine = self.open + self._new
        return fewest if fewest is not None and mine - mine // _TOLERANCE > fewest else None

    def add_new(self) -> None:
        """Count a new connection, which may become a socket."""
        self._new += 1
        self._publish()

    def remove_new(self) -> None:
        """Count one new connection less: it sent a plain request, became a socket (see `opened`) or ended."""
        self._new -= 1
        self._publish()

    def opened(self) -> None:
        self.open += 1
        self._publish()

    def closed(self) -> None:
        self.open -= 1
        self._publish()

    def _publish(self) -> None:
        self._slot.sockets = self.open + self._new


class Acceptor:
    """Accepts connections from one listener. Used on the event loop only."""

    def __init__(
        self,
        listener: socket.socket,
        sockets: SocketCount,
        new_protocol: Callable[[], asyncio.Protocol],
        ssl: SSLContext | None = None,
    ) -> None:
        self._listener = listener
        self._sockets = sockets
        self._new_protocol = new_protocol
        self._ssl = ssl
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._yields = 0
        self._yields_to = -1
        """Sockets of the worker with the fewest, at the last yield."""
        self._no_yield_until = 0.0
        self._connecting: set[asyncio.Task[None]] = set()
        self._listening = True
        listener.setblocking(False)
        self._queue = select.poll()
        self._queue.register(listener, select.POLLIN)
        self._loop.add_reader(listener, self._on_readable)

    @property
    def is_connecting(self) -> bool:
        """Whether an accepted connection has no protocol yet."""
        return bool(self._connecting)

    def close(self) -> None:
        """Accept no more; connections in the queue go to the other workers."""
        if self._listening:
            self._listening = False
            self._loop.remove_reader(self._listener)
            if self._pause is not None:
                self._pause.cancel()
            self._listener.close()

    def _on_readable(self) -> None:
        fewest = self._sockets.fewest_if_ahead
        if fewest is None or self._has_yielded_enough(fewest):
            self._yields = 0
            self._accept_some()
        else:
            self._yields += 1
            self._pause_for(YIELD_S, self._compare_again)

    def _has_yielded_enough(self, fewest: int) -> bool:
        now = self._loop.time()
        if fewest > self._yields_to:  # That worker accepts connections.
            self._yields = 0
        elif self._yields >= MAX_YIELDS:
            self._no_yield_until = now + NO_YIELD_S
        self._yields_to = fewest
        return now < self._no_yield_until

    def _compare_again(self) -> None:
        if not self._queue.poll(0):  # Another worker accepted it.
            self._yields = 0
        self._resume()

    def _accept_some(self) -> None:
        """Accept until this worker is ahead: the others wait for a slow one once, and not for each connection."""
        for _ in range(MAX_ACCEPTED_AT_ONCE):
            if not self._accept_one() or self._sockets.fewest_if_ahead is not None:
                return

    def _accept_one(self) -> bool:
        """Accept a connection. Returns whether there was one."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:  # Out of descriptors or memory: another worker takes it, or this one later.
            logger.error("no connection can be accepted: %s", error)
            self._pause_for(ACCEPT_RETRY_S, self._resume)
            return False
        self._sockets.add_new()
        task = self._loop.create_task(self._connect(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return True

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._new_protocol, connection, ssl=self._ssl)
        except OSError:  # The client is gone, or does not speak TLS.
            self._sockets.remove_new()
            connection.close()

    def _pause_for(self, seconds: float, then: Callable[[], object]) -> None:
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(seconds, then)

    def _resume(self) -> None:
        self._pause = None
        if self._listening:
            self._loop.add_reader(self._listener, self._on_readable)

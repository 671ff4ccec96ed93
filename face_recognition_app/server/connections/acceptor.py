"""Accepts connections from the listener that all workers share, so that each worker holds about as many.

The kernel has one queue of connections for all workers of a master, so a worker that is busy or dead holds none back.
But the worker that wakes first would take most of a burst. So a worker with more sockets than another, or with as many
and more plain connections, yields until that one has caught up, or has accepted nothing for a while. New connections
count as sockets: a burst is accepted before any of its requests has come.

A worker that was busy or has just started may get none of a burst whose connections are kept for hours. So the worker
with more plain connections closes some behind an answer, one by one; their clients connect anew.
"""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from collections.abc import Callable
from ssl import SSLContext

from server.roster import NOTHING, Load, Slot, Stage

logger = logging.getLogger(__name__)

YIELD_S = 0.001
"""Pause before the counts are compared again. Short: two workers that take turns accept about one connection in it."""
MAX_YIELDS = 200
"""Yields in a row during which the worker with the least accepts nothing; after them this worker does not yield for
NO_YIELD_S. Yields are counted and not time: a worker that did not run itself has not yielded."""
MAX_YIELDS_OF_EQUALS = 10
"""Likewise where the other has as many sockets, and only fewer plain connections."""
NO_YIELD_S = 1.0
MAX_ACCEPTED_AT_ONCE = 64
"""Connections accepted in one turn of the event loop."""
ACCEPT_RETRY_S = 0.5
"""Pause after the system had no descriptor or memory for another connection."""
MOVE_EVERY_S = 0.1
"""Pause between plain connections that are moved. To a worker that accepts none of them they come back."""
_TOLERANCE = 16
"""Tolerated imbalance: 1/16 of what this worker has."""


class ConnectionCount:
    """Publishes what this worker holds to the other workers."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._new = 0
        self._sockets = 0
        self._plain = 0
        self._moving = 0
        """Those of the plain connections that are closed behind their answer."""
        self._next_move_at = 0.0
        self.on_fewer: list[Callable[[], None]] = []
        """Called when there is less to count."""

    @property
    def is_draining(self) -> bool:
        return self._slot.stage is Stage.DRAINING

    @property
    def least_if_ahead(self) -> Load | None:
        """The load of the worker with the least, if this worker has more; else None."""
        least, mine = self._slot.least_elsewhere, self._slot.load
        if least is None:
            return None
        more_sockets = _exceeds(mine.sockets, least.sockets)
        more_plain = mine.sockets >= least.sockets and _exceeds(mine.plain, least.plain)
        return least if more_sockets or more_plain else None

    def is_ahead_in_sockets(self, least: Load) -> bool:
        return _exceeds(self._slot.load.sockets, least.sockets)

    def add_new(self) -> None:
        """Count a new connection, which may become a socket."""
        self._new += 1
        self._publish()

    def remove_new(self) -> None:
        """Count one new connection less: it sent a plain request, became a socket (see `opened`) or ended."""
        self._new -= 1
        self._publish_fewer()

    def add_plain(self) -> None:
        """Count a connection that sent a plain request, and may send more."""
        self._plain += 1
        self._publish()

    def remove_plain(self, *, was_moved: bool) -> None:
        self._plain -= 1
        self._moving -= was_moved
        self._publish_fewer()

    def claim_move(self, now: float) -> bool:
        """Claim the move of one plain connection to a worker with fewer. Return whether the caller is to close its
        connection behind the answer: never for two within MOVE_EVERY_S, nor where it would even nothing out."""
        if now < self._next_move_at:
            return False
        self._next_move_at = now + MOVE_EVERY_S
        least, mine = self._slot.least_elsewhere, self._slot.load
        if least is None or mine.sockets < least.sockets:
            return False
        moves = _is_uneven(mine.plain - self._moving, least.plain + self._moving)
        self._moving += moves
        return moves

    def opened(self) -> None:
        self._sockets += 1
        self._publish()

    def closed(self) -> None:
        self._sockets -= 1
        self._publish_fewer()

    def _publish_fewer(self) -> None:
        self._publish()
        for call in self.on_fewer:
            call()

    def _publish(self) -> None:
        self._slot.load = Load(self._sockets + self._new, self._plain)


def _exceeds(mine: int, other: int) -> bool:
    return mine - mine // _TOLERANCE > other


def _is_uneven(mine: int, other: int) -> bool:
    """Whether one more of mine would have to go to the other; if they differ by one, that would change nothing."""
    return _exceeds(mine - 1, other)


class Acceptor:
    """Accepts connections from one listener. Used on the event loop only."""

    def __init__(
        self,
        listener: socket.socket,
        count: ConnectionCount,
        new_protocol: Callable[[], asyncio.Protocol],
        ssl: SSLContext | None = None,
    ) -> None:
        self._listener = listener
        self._count = count
        self._new_protocol = new_protocol
        self._ssl = ssl
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._yields = 0
        """In a row, until now; also tells this pause from the one of ACCEPT_RETRY_S, before which it is 0."""
        self._yields_to = NOTHING
        """Load of the worker with the least, at the last yield."""
        self._no_yield_until = 0.0
        self._connecting: set[asyncio.Task[None]] = set()
        self._listening = True
        listener.setblocking(False)
        self._queue = select.poll()
        self._queue.register(listener, select.POLLIN)
        self._loop.add_reader(listener, self._on_readable)
        count.on_fewer.append(self._stop_yielding)

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
        least = self._count.least_if_ahead
        if least is None or self._has_yielded_enough(least):
            self._yields = 0
            self._accept_some()
        else:
            self._yields += 1
            self._pause_for(YIELD_S, self._compare_again)

    def _stop_yielding(self) -> None:
        """Go on when this worker is no longer ahead: a connection that asks once is gone in less than a pause."""
        if self._pause is not None and self._yields and self._count.least_if_ahead is None:
            self._pause.cancel()
            self._yields = 0
            self._resume()

    def _has_yielded_enough(self, least: Load) -> bool:
        now = self._loop.time()
        enough = MAX_YIELDS if self._count.is_ahead_in_sockets(least) else MAX_YIELDS_OF_EQUALS
        if least > self._yields_to:  # That worker accepts connections.
            self._yields = 0
        elif self._yields >= enough:
            self._no_yield_until = now + NO_YIELD_S
        self._yields_to = least
        return now < self._no_yield_until

    def _compare_again(self) -> None:
        if not self._queue.poll(0):  # Another worker accepted it.
            self._yields = 0
        self._resume()

    def _accept_some(self) -> None:
        """Accept until this worker is ahead: the others wait for a slow one once, and not for each connection."""
        for _ in range(MAX_ACCEPTED_AT_ONCE):
            if not self._accept_one() or self._count.least_if_ahead is not None:
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
        self._count.add_new()
        task = self._loop.create_task(self._connect(connection))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return True

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._new_protocol, connection, ssl=self._ssl)
        except OSError:  # The client is gone, or does not speak TLS.
            self._count.remove_new()
            connection.close()

    def _pause_for(self, seconds: float, then: Callable[[], object]) -> None:
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(seconds, then)

    def _resume(self) -> None:
        self._pause = None
        if self._listening:
            self._loop.add_reader(self._listener, self._on_readable)

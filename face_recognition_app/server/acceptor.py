"""Connections off a listener that all workers share, in such turns that each worker gets as many sockets.

The workers of one master wait on one queue of connections, so what one of them does not take, because it is busy or
has died, another does. The system would give most of a burst to the first that wakes. So a worker that has more
sockets than another leaves a connection to that one, until it has caught up or has taken nothing for a while.
Connections whose request has not come yet count as sockets: a burst is accepted before any of it has shown what it is.
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

GIVEN_WAY_S = 0.001
"""Pause before the counts are compared again. Short: two workers that take turns accept about one connection in it."""
GIVEN_WAY_AT_MOST = 200
"""Pauses in a row in which the worker that has the fewest sockets takes nothing; then none is waited for during
IGNORED_S. Pauses are counted instead of time, so that a worker that was itself not running does not lose patience."""
IGNORED_S = 1.0
OUT_OF_FILES_S = 0.5
_SLACK = 16
"""One in so many sockets more than another worker has is even enough."""


class SocketCount:
    """The sockets of this worker, as the other workers see them: those open, and connections just accepted."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self.open = 0
        self._arriving = 0

    @property
    def is_draining(self) -> bool:
        return self._slot.stage is Stage.DRAINING

    @property
    def fewest_if_ahead(self) -> int | None:
        """The sockets of the worker that has the fewest, where this one has more; None where it has not."""
        fewest = self._slot.fewest_elsewhere
        mine = self.open + self._arriving
        return fewest if fewest is not None and mine - mine // _SLACK > fewest else None

    def arrived(self) -> None:
        """A connection that has not shown yet whether it becomes a socket."""
        self._arriving += 1
        self._publish()

    def settled(self) -> None:
        """It has: as a request, as a socket that is counted from now on, or by ending."""
        self._arriving -= 1
        self._publish()

    def opened(self) -> None:
        self.open += 1
        self._publish()

    def closed(self) -> None:
        self.open -= 1
        self._publish()

    def _publish(self) -> None:
        self._slot.sockets = self.open + self._arriving


class Acceptor:
    """Takes connections off one listener, one at a time. Used on the event loop only."""

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
        self._waited_for = -1
        """The sockets of the worker that has the fewest, when this one began to give way."""
        self._gave_way = 0
        self._ignored_until = 0.0
        self._arriving: set[asyncio.Task[None]] = set()
        self._listening = True
        listener.setblocking(False)
        self._waiting = select.poll()
        self._waiting.register(listener, select.POLLIN)
        self._loop.add_reader(listener, self._accept)

    @property
    def is_quiet(self) -> bool:
        """No connection that was accepted is still without a protocol."""
        return not self._arriving

    def close(self) -> None:
        """Take no more; what waits is for the other workers."""
        if self._listening:
            self._listening = False
            self._loop.remove_reader(self._listener)
            if self._pause is not None:
                self._pause.cancel()
            self._listener.close()

    def _accept(self) -> None:
        """Take the connection that waits, or leave it to another worker for a moment."""
        fewest = self._sockets.fewest_if_ahead
        if fewest is None or self._has_waited_enough_for(fewest):
            self._gave_way = 0
            self._take()
        else:
            self._gave_way += 1
            self._wait(GIVEN_WAY_S, self._look_again)

    def _has_waited_enough_for(self, fewest: int) -> bool:
        now = self._loop.time()
        if fewest != self._waited_for:  # That worker takes connections.
            self._waited_for, self._gave_way = fewest, 0
        elif self._gave_way == GIVEN_WAY_AT_MOST:
            self._ignored_until = now + IGNORED_S
        return now < self._ignored_until

    def _look_again(self) -> None:
        if not self._waiting.poll(0):  # Another worker took it.
            self._gave_way = 0
        self._go_on()

    def _take(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:  # Out of descriptors or memory: who has some left takes it, or this worker later.
            logger.error("no connection can be accepted: %s", error)
            self._wait(OUT_OF_FILES_S, self._go_on)
            return
        self._sockets.arrived()
        task = self._loop.create_task(self._connect(connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._new_protocol, connection, ssl=self._ssl)
        except OSError:  # The client has gone, or speaks no TLS.
            self._sockets.settled()
            connection.close()

    def _wait(self, seconds: float, then: Callable[[], object]) -> None:
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(seconds, then)

    def _go_on(self) -> None:
        self._pause = None
        if self._listening:
            self._loop.add_reader(self._listener, self._accept)

"""Connections off a listener that all workers share, in such turns that each worker gets as many sockets.

The workers of one master wait on one queue of connections, so what one of them does not take, because it is busy or
has died, another does. The system would give most of a burst to the first that wakes. So a worker that has more
sockets than another lets that one go first for a moment, and takes what is left.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from ssl import SSLContext

from server.roster import Slot, Stage

logger = logging.getLogger(__name__)

GIVEN_WAY_S = 0.01
"""Longer than the event loop of a worker under load takes for one turn."""
GIVEN_WAY_AT_MOST = 20
"""Times in a row, to somebody who takes nothing; then nobody is waited for during IGNORED_S."""
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
    def is_ahead(self) -> bool:
        """This worker has more open sockets than some other. Most of what arrives becomes none, and does not count."""
        fewest = self._slot.fewest_elsewhere
        return fewest is not None and self.open - self.open // _SLACK > fewest

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
        self._gave_way = 0
        self._arriving: set[asyncio.Task[None]] = set()
        self._listening = True
        listener.setblocking(False)
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
        if not self._sockets.is_ahead:
            self._gave_way = 0
            self._take()
        elif self._gave_way == GIVEN_WAY_AT_MOST:
            self._take()
        else:
            self._gave_way += 1
            self._wait(GIVEN_WAY_S, self._take_what_is_left)

    def _take_what_is_left(self) -> None:
        self._go_on()
        if not self._take():
            self._gave_way = 0  # Somebody else took it: waiting was of use.
        elif self._gave_way == GIVEN_WAY_AT_MOST:
            self._loop.call_later(IGNORED_S, self._wait_again)

    def _wait_again(self) -> None:
        self._gave_way = 0

    def _take(self) -> bool:
        """Whether there was a connection."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:  # Out of descriptors or memory: who has some left takes it, or this worker later.
            logger.error("no connection can be accepted: %s", error)
            self._wait(OUT_OF_FILES_S, self._go_on)
            return False
        self._sockets.arrived()
        task = self._loop.create_task(self._connect(connection))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)
        return True

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

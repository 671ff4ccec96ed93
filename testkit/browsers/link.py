"""A TCP proxy on the loopback device that goes silent, slow or away on command, as networks do."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

from testkit.patience import PATIENCE_S

HOST = "127.0.0.1"
UNLIMITED_CHUNK = 64 * 1024
LIMITED_CHUNK = 4 * 1024
"""Bytes: the most that is read at once. On a limited direction it is the receive buffer as well, so what does not get
through waits in the sender, as before a slow modem."""
CHUNKS_PER_S = 10
"""A limited direction moves on at least so often: bytes trickle rather than come in bursts."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of zero: to close such a socket sends RST."""

Result = TypeVar("Result")


@dataclass(slots=True)
class _Direction:
    """The bytes of all connections from one side to the other share its rate."""

    bytes_per_s: float | None = None
    _free_at: float = field(default=0.0, init=False)

    @property
    def chunk(self) -> int:
        if self.bytes_per_s is None:
            return UNLIMITED_CHUNK
        return max(1, min(LIMITED_CHUNK, int(self.bytes_per_s / CHUNKS_PER_S)))

    async def take_turn(self, size: int) -> None:
        if self.bytes_per_s is None:
            return
        now = time.monotonic()
        self._free_at = max(now, self._free_at) + size / self.bytes_per_s
        await asyncio.sleep(self._free_at - now)

    def fit_buffer(self, sender: socket.socket) -> None:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)

    @property
    def _buffer(self) -> int:
        return UNLIMITED_CHUNK if self.bytes_per_s is None else LIMITED_CHUNK


@dataclass(slots=True)
class _Connection:
    client: socket.socket
    server: socket.socket

    def close(self, *, by_reset: bool) -> None:
        for side in (self.client, self.server):
            if by_reset:
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            side.close()


class Link:
    """Forwards the connections that clients make to `port` to `target_port`, both of 127.0.0.1.

    A context manager: it forwards within the block, and resets what is left at its end. The event loop runs in a thread
    of its own, since tests that block hold theirs. Methods return when what they command is in force.
    """

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self._target_port = target_port
        self._up = _Direction()
        self._down = _Direction()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def own_ports(self) -> list[int]:
        """Ports from which it is connected to the service, the oldest connection first."""
        return self._run(self._own_ports())

    def silence(self) -> None:
        """Forward nothing and close nothing; new connections are accepted and hear nothing.

        What was read before, less than a chunk per direction, may still arrive.
        """
        self._run(self._set_flowing(flowing=False))

    def resume(self) -> None:
        """Forward again, beginning with what has waited since `silence`."""
        self._run(self._set_flowing(flowing=True))

    def cut(self) -> None:
        """Close all connections by RST, to both sides."""
        self._run(self._cut())

    def refuse(self) -> None:
        """Let nobody answer at the port; connections that exist go on."""
        self._run(self._refuse())

    def listen(self) -> None:
        """Answer at the port again, which stays the same."""
        self._run(self._listen())

    def limit_up(self, bytes_per_s: float | None) -> None:
        """Forward so many bytes per second from clients to the service, all connections together; None: no limit."""
        self._run(self._limit(self._up, bytes_per_s))

    def limit_down(self, bytes_per_s: float | None) -> None:
        """The same from the service to clients."""
        self._run(self._limit(self._down, bytes_per_s))

    def _run(self, command: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(command, self._loop).result(PATIENCE_S)

    async def _own_ports(self) -> list[int]:
        living = [connection for task, connection in self._connections.items() if not task.done()]
        return [connection.server.getsockname()[1] for connection in living]

    async def _set_flowing(self, *, flowing: bool) -> None:
        if flowing:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _listen(self) -> None:
        if self._listener is not None:
            return
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._up.fit_buffer(listener)  # Accepted sockets inherit it.
        listener.bind((HOST, self.port))
        listener.listen()
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._accepting = self._loop.create_task(self._accept(listener))

    async def _refuse(self) -> None:
        if self._listener is None or self._accepting is None:
            return
        await _end([self._accepting])
        self._listener.close()
        self._listener = None

    async def _cut(self) -> None:
        connections = dict(self._connections)
        await _end(connections)
        for task, connection in connections.items():
            if task.cancelled():  # Else it has just ended, and closed its connection.
                connection.close(by_reset=True)

    async def _limit(self, direction: _Direction, bytes_per_s: float | None) -> None:
        direction.bytes_per_s = bytes_per_s
        if direction is self._up and self._listener is not None:
            direction.fit_buffer(self._listener)
        for task, connection in self._connections.items():
            if not task.done():
                direction.fit_buffer(connection.client if direction is self._up else connection.server)

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            client, _ = await self._loop.sock_accept(listener)
            connection = _Connection(client, socket.socket())
            for side in (connection.client, connection.server):
                side.setblocking(False)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._down.fit_buffer(connection.server)
            task = self._loop.create_task(self._serve(connection))
            self._connections[task] = connection
            task.add_done_callback(self._connections.pop)

    async def _serve(self, connection: _Connection) -> None:
        client, server = connection.client, connection.server
        try:
            await self._flowing.wait()
            await self._loop.sock_connect(server, (HOST, self._target_port))
            async with asyncio.TaskGroup() as both:
                both.create_task(self._forward(client, server, self._up))
                both.create_task(self._forward(server, client, self._down))
        except* OSError:
            connection.close(by_reset=True)
        else:
            connection.close(by_reset=False)

    async def _forward(self, source: socket.socket, target: socket.socket, direction: _Direction) -> None:
        try:
            while data := await self._loop.sock_recv(source, direction.chunk):
                await direction.take_turn(len(data))
                await self._flowing.wait()
                await self._loop.sock_sendall(target, data)
        except OSError:
            await self._flowing.wait()  # On a silent link neither side hears that the other has gone.
            raise
        await self._flowing.wait()
        target.shutdown(socket.SHUT_WR)


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)

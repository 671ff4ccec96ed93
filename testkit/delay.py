"""A forwarder of the loopback device that holds back what it carries, as a long way does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from anyio.from_thread import start_blocking_portal

HOST = "127.0.0.1"
_PIECE_BYTES = 64 * 1024
_MAX_PIECES = 256


@contextmanager
def delayed(port: int, round_trip_s: float) -> Iterator[int]:
    """Forward a new port, which it yields, to `port`; each direction takes half of `round_trip_s`.

    It runs in a thread. The TCP handshake itself is not delayed.
    """
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(_forwarding(port, round_trip_s / 2)) as forwarded,
    ):
        yield forwarded


@asynccontextmanager
async def _forwarding(port: int, delay_s: float) -> AsyncIterator[int]:
    connections: set[asyncio.Task[None]] = set()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_forward(reader, writer, port, delay_s))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(connect, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, delay_s: float) -> None:
    """Carry both directions until both have ended, or one has broken."""
    try:
        far_reader, far_writer = await asyncio.open_connection(HOST, port)
    except OSError:
        writer.close()
        return
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_carry(reader, far_writer, delay_s))
            both.create_task(_carry(far_reader, writer, delay_s))
    except* OSError:
        pass  # Whoever broke it is told by the other connection's end.
    finally:
        writer.close()
        far_writer.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    """Write what is read in its order, each piece `delay_s` after it came; the last piece, an empty one, is the end."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_MAX_PIECES)

    async def send_off() -> None:
        piece = b"first"
        while piece:
            piece = await reader.read(_PIECE_BYTES)
            await under_way.put((loop.time() + delay_s, piece))

    async with asyncio.TaskGroup() as group:
        group.create_task(send_off())
        while True:
            due_s, piece = await under_way.get()
            await asyncio.sleep(due_s - loop.time())
            if not piece:
                break
            writer.write(piece)
            await writer.drain()
    writer.write_eof()

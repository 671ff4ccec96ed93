"""Keep-alive connections that request one path in a closed loop."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

from bench.load.client import Address
from bench.load.process import Tell

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CONNECT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class HttpOutcome:
    """Answers within `seconds`; `errors` by kind: a status, a broken connection, an answer without length."""

    seconds: float
    latencies_ms: list[float]
    errors: Counter[str]
    client_cpu_s: float


@dataclass(slots=True)
class HttpTally:
    latencies_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class HttpJob:
    """Sends GETs over `connections` connections for `warm_up_s`, then for the measured `seconds`; notes "begin" and
    "end" delimit these."""

    base_url: str
    path: str
    connections: int
    warm_up_s: float
    seconds: float

    async def run(self, tell: Tell) -> HttpOutcome:
        address = Address.of(self.base_url)
        tally = HttpTally()
        connections = [KeepAlive(address, self.path, tally) for _ in range(self.connections)]
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            for connection in connections:
                await connection.connect()
        await asyncio.sleep(self.warm_up_s)
        tell("begin")
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        warm_up, counted = tally.errors.copy(), len(tally.latencies_ms)
        await asyncio.sleep(self.seconds)
        outcome = HttpOutcome(
            seconds=time.monotonic() - began_s,
            latencies_ms=tally.latencies_ms[counted:],
            errors=tally.errors - warm_up,
            client_cpu_s=time.process_time() - began_cpu_s,
        )
        tell("end")
        for connection in connections:
            connection.close()
        return outcome


class KeepAlive(asyncio.Protocol):
    """One connection, with a request in flight from its opening to its end."""

    def __init__(self, address: Address, path: str, tally: HttpTally, pause_s: float = 0.0) -> None:
        self._address = address
        self._request = f"GET {path} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\n\r\n".encode()
        self._tally = tally
        self._pause_s = pause_s
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._asked_at_s = 0.0
        self._closing = False

    async def connect(self) -> None:
        """Open the connection and send the first request. Raises OSError."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, self._address.host, self._address.port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._buffer, 0, end + 2)
        if length is None:
            self._tally.errors["no_length"] += 1
            self.close()
            return
        if len(self._buffer) >= end + 4 + int(length[1]):
            self._note(bytes(self._buffer[9:12]))
            self._buffer.clear()
            self._ask_later()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._closing:
            self._tally.errors["connection_lost"] += 1

    def close(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def _note(self, status: bytes) -> None:
        if status == b"200":
            self._tally.latencies_ms.append(1000 * (time.perf_counter() - self._asked_at_s))
        else:
            self._tally.errors[f"status_{status.decode('latin-1')}"] += 1

    def _ask_later(self) -> None:
        if self._pause_s:
            asyncio.get_running_loop().call_later(self._pause_s, self._ask)
        else:
            self._ask()

    def _ask(self) -> None:
        if self._transport is not None and not self._closing:
            self._asked_at_s = time.perf_counter()
            self._transport.write(self._request)

"""A client that polls health, each time over a new connection."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from bench.load.client import Address
from bench.load.process import Tell

EVERY_S = 0.05
TIMEOUT_S = 10.0


@dataclass(slots=True)
class HealthOutcome:
    latencies_ms: list[float] = field(default_factory=list)
    """From before the connection to the end of the answer; a failed probe counts as the timeout."""
    failed: int = 0


@dataclass(frozen=True, slots=True)
class HealthJob:
    """Probes health one request after the other for `seconds`. Sends the note "begin"."""

    base_url: str
    seconds: float

    async def run(self, tell: Tell) -> HealthOutcome:
        address = Address.of(self.base_url)
        outcome = HealthOutcome()
        end_s = time.monotonic() + self.seconds
        tell("begin")
        while time.monotonic() < end_s:
            begin_s = time.perf_counter()
            if await _is_healthy(address):
                outcome.latencies_ms.append(1000 * (time.perf_counter() - begin_s))
            else:
                outcome.failed += 1
                outcome.latencies_ms.append(1000 * TIMEOUT_S)
            await asyncio.sleep(EVERY_S)
        return outcome


async def _is_healthy(address: Address) -> bool:
    try:
        async with asyncio.timeout(TIMEOUT_S):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            try:
                writer.write(b"GET /api/health/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                return (await reader.read()).startswith(b"HTTP/1.1 200")
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return False

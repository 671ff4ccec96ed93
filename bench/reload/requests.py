"""HTTP clients that detect effects of replaced workers: refused, broken or waiting requests."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import httpx

from testkit import loopback

HEALTH, DATABASE = "/api/health/", "/api/v1/jobs/?limit=10"
"""The second asks the database, and records nothing: a read of people would be a write."""
_PAUSE_S = 0.1
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Failure:
    at_s: float
    what: str
    broken_off: bool = False
    """Without an answer, as a request to a worker that was killed."""

    @classmethod
    def of(cls, began: float, error: Exception) -> Failure:
        what = f"{type(error).__name__} {error}".strip()
        return cls(began, what, broken_off=isinstance(error, httpx.TransportError))


@dataclass(slots=True)
class RequestTally:
    """`waits`: start and duration of each answered request, in seconds."""

    waits: list[tuple[float, float]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


async def ask_again_and_again(
    base_url: str, api_key: str, number: int, over: asyncio.Event, tally: RequestTally
) -> None:
    """Send requests until `over` is set: even clients on new connections, odd ones on one that they keep."""
    keeps = number % 2
    headers = {"authorization": f"Bearer {api_key}"} | ({} if keeps else {"connection": "close"})
    limits = httpx.Limits(max_keepalive_connections=keeps)
    async with loopback.client(base_url=base_url, headers=headers, limits=limits, timeout=_TIMEOUT_S) as client:
        while not over.is_set():
            began = time.monotonic()
            try:
                response = await client.get(DATABASE if keeps else HEALTH)
                response.raise_for_status()
            except httpx.HTTPError as error:
                tally.failures.append(Failure.of(began, error))
            else:
                tally.waits.append((began, time.monotonic() - began))
            await asyncio.sleep(_PAUSE_S)

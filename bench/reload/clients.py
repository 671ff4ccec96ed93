"""Clients that detect effects of a reload: refused or waiting connections, and sessions without a decision."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from testkit import loopback
from testkit.stream_client import CreatedSession, ServiceClient, ServiceError

_PAUSE_S = 0.02
_RECONNECT_S = 0.2
_SESSION_TIMEOUT_S = 60.0
"""Time limit of one session in the bench, twice the service's own."""


@dataclass(frozen=True, slots=True)
class Failure:
    at_s: float
    what: str


@dataclass(slots=True)
class RequestTally:
    """Requests on separate connections. `waits`: start and duration of each answered one, in seconds."""

    waits: list[tuple[float, float]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


@dataclass(slots=True)
class SessionTally:
    decided: Counter[str] = field(default_factory=Counter)
    undecided: list[Failure] = field(default_factory=list)
    reconnects: Counter[int] = field(default_factory=Counter)
    """Reconnects by the close code before."""


async def ask_again_and_again(base_url: str, path: str, over: asyncio.Event, tally: RequestTally) -> None:
    """Send requests in a loop, each on a new connection, until `over` is set."""
    limits = httpx.Limits(max_keepalive_connections=0)
    async with loopback.client(base_url=base_url, limits=limits, timeout=_SESSION_TIMEOUT_S) as client:
        while not over.is_set():
            began = time.monotonic()
            try:
                response = await client.get(path, headers={"connection": "close"})
                response.raise_for_status()
            except httpx.HTTPError as error:
                tally.failures.append(Failure(began, f"{type(error).__name__} {error}".strip()))
            else:
                tally.waits.append((began, time.monotonic() - began))
            await asyncio.sleep(_PAUSE_S)


async def stream_again_and_again(
    client: ServiceClient, subject: str, frames: Sequence[bytes], fps: float, over: asyncio.Event, tally: SessionTally
) -> None:
    """Authenticate one person in a loop until `over` is set, reconnecting whenever the socket is lost."""
    while not over.is_set():
        began = time.monotonic()
        try:
            async with asyncio.timeout(_SESSION_TIMEOUT_S):
                created = await _created(client, subject)
                tally.decided[await _decision(created, frames, fps, tally)] += 1
        except (TimeoutError, _NoDecision) as error:
            tally.undecided.append(Failure(began, f"{type(error).__name__} {error}".strip()))


class _NoDecision(Exception):
    pass


async def _created(client: ServiceClient, subject: str) -> CreatedSession:
    while True:
        try:
            return await client.create_session("authentication", subject, "passive")
        except httpx.TransportError:
            pass  # The worker with this request was killed.
        except ServiceError as error:  # It was, and a proxy tells.
            if error.code != "unavailable":
                raise
        await asyncio.sleep(_RECONNECT_S)


async def _decision(created: CreatedSession, frames: Sequence[bytes], fps: float, tally: SessionTally) -> str:
    pictures = itertools.cycle(frames)
    while True:
        watcher = _Watcher()
        with contextlib.suppress(OSError, InvalidHandshake, TimeoutError):
            async with connect(
                created.websocket_url, compression=None, proxy=None, open_timeout=_SESSION_TIMEOUT_S
            ) as socket:
                reader = asyncio.create_task(watcher.read(socket))
                with contextlib.suppress(ConnectionClosed):
                    while not reader.done():
                        await socket.send(next(pictures))
                        await asyncio.wait({reader}, timeout=1 / fps)
                await reader
        if watcher.decision:
            return watcher.decision
        if watcher.close_code in (4401, 4409, 1000):
            raise _NoDecision(f"closed with {watcher.close_code}: {watcher.last_error}")
        tally.reconnects[watcher.close_code] += 1
        await asyncio.sleep(watcher.reconnect_after_s)


@dataclass(slots=True)
class _Watcher:
    decision: str = ""
    close_code: int = 1006
    last_error: str = ""
    reconnect_after_s: float = _RECONNECT_S

    async def read(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in socket:
                self._note(json.loads(text))
        self.close_code = socket.close_code or self.close_code

    def _note(self, message: dict[str, object]) -> None:
        kind = str(message["type"])
        if kind.endswith("_complete"):
            self.decision = "success" if message["success"] else str(message["reason"])
        elif kind == "server_draining":
            self.reconnect_after_s = float(str(message["reconnect_after_ms"])) / 1000
        elif kind == "error":
            self.last_error = str(message["code"])

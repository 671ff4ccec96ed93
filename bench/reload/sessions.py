"""Sessions that go on wherever their socket is lost, and are compared with what the service keeps of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from bench.reload.ledger import Ledger
from bench.reload.people import Person
from bench.reload.requests import Failure
from testkit.stream_client import CreatedSession, ServiceClient, ServiceError

_RECONNECT_S = 0.2
_SESSION_TIMEOUT_S = 240.0
"""Time limit of one session in the bench, twice what the service gives an enrolment and remembers its token for."""
_UNKNOWN_TOKEN = 4401
_FINAL = (4409, 1000)
"""Close codes after which a client does not come back, and which it gets only with a result."""

T = TypeVar("T")


@dataclass(slots=True)
class SessionTally:
    """`lost`: sessions without their decision. `mistakes`: what was counted or decided twice, or told wrongly."""

    decided: Counter[str] = field(default_factory=Counter)
    """Sessions by kind and outcome."""
    repeated: list[Failure] = field(default_factory=list)
    """Requests that were made again, since there was no answer."""
    lost: list[Failure] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    reconnects: Counter[int] = field(default_factory=Counter)
    """Reconnects by the close code before."""
    resumed: int = 0
    """Sessions that were decided on a later connection than their first."""
    untold: int = 0
    """Sessions whose client came back too late to be told: it was cut off for longer than the service remembers."""
    ids: set[str] = field(default_factory=set)
    enrolled: list[str] = field(default_factory=list)
    """Subjects whose enrolment has succeeded."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """One person, with a session after the other."""

    client: ServiceClient
    person: Person
    fps: float
    tally: SessionTally

    async def come_again_and_again(self, over: asyncio.Event) -> None:
        while not over.is_set():
            began = time.monotonic()
            try:
                async with asyncio.timeout(_SESSION_TIMEOUT_S):
                    await self._come()
            except (TimeoutError, ServiceError, _NoDecision) as error:
                self.tally.lost.append(Failure.of(began, error))

    async def _come(self) -> None:
        created = await self._ask(lambda: self.person.begin(self.client))
        ledger = Ledger()
        cuts = await self._until_told(created, ledger)
        kept = await self._ask(lambda: self.client.session(created.id))
        if (decision := kept["decision"]) is None:
            raise _NoDecision(f"it is {kept['status']}, and its client was told {ledger.last_error}")
        if ledger.decision is None:
            self.tally.untold += 1
        elif kept["decision_token"] != ledger.decision["decision_token"]:
            ledger.mistakes.append("the session has another decision than its client was told")
        outcome = "success" if kept["status"] == "succeeded" else ", ".join(decision["reasons"])
        self.tally.ids.add(created.id)
        self.tally.resumed += cuts > 0
        self.tally.decided[f"{kept['kind']}: {outcome}"] += 1
        if outcome == "success" and kept["kind"] == "enrollment":
            self.tally.enrolled.append(kept["subject_id"])
        self.tally.mistakes += [f"session {created.id}: {mistake}" for mistake in ledger.mistakes]

    async def _ask(self, request: Callable[[], Awaitable[T]]) -> T:
        """Ask again until the service answers, after a killed worker or a proxy's refusal."""
        while True:
            began = time.monotonic()
            try:
                return await request()
            except httpx.TransportError as error:
                self.tally.repeated.append(Failure.of(began, error))
            except ServiceError as error:
                if error.code != "unavailable":
                    raise
                self.tally.repeated.append(Failure.of(began, error))
            await asyncio.sleep(_RECONNECT_S)

    async def _until_told(self, created: CreatedSession, ledger: Ledger) -> int:
        """Stream, on as many connections as it takes, until the result is told or the token is refused, as it is a
        minute after the session's end; returns how many connections were cut.
        """
        pictures = self.person.frames()
        for cuts in range(1_000):
            watcher = _Watcher(self.person, ledger)
            ledger.connected()
            with contextlib.suppress(OSError, InvalidHandshake, TimeoutError):
                async with connect(
                    created.websocket_url, compression=None, proxy=None, open_timeout=_SESSION_TIMEOUT_S
                ) as socket:
                    await self._stream(socket, watcher, pictures)
            if ledger.decision or watcher.close_code == _UNKNOWN_TOKEN:
                return cuts
            if watcher.close_code in _FINAL:
                raise _NoDecision(f"closed with {watcher.close_code}: {ledger.last_error}")
            self.tally.reconnects[watcher.close_code] += 1
            await asyncio.sleep(watcher.reconnect_after_s)
        raise _NoDecision("cut a thousand times")

    async def _stream(self, socket: ClientConnection, watcher: _Watcher, pictures: Iterator[bytes]) -> None:
        reader = asyncio.create_task(watcher.read(socket))
        with contextlib.suppress(ConnectionClosed):
            while not reader.done():
                picture = next(pictures)
                watcher.ledger.sent()
                await socket.send(picture)
                await asyncio.wait({reader}, timeout=1 / self.fps)
        await reader


class _NoDecision(Exception):
    pass


@dataclass(slots=True)
class _Watcher:
    person: Person
    ledger: Ledger
    close_code: int = 1006
    reconnect_after_s: float = _RECONNECT_S

    async def read(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in socket:
                message = json.loads(text)
                self.ledger.told(message)
                self.person.told(message)
                if message["type"] == "server_draining":
                    self.reconnect_after_s = message["reconnect_after_ms"] / 1000
        self.close_code = socket.close_code or self.close_code

"""Mixed load: sandboxes, identifications, enrolments, probes, vanishing clients and broken pictures."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bench.http.connections import HttpTally, KeepAlive
from bench.load.client import BINARY, NORMAL, TEXT, Address, HandshakeRefused, LoadSocket, client_frame, connect
from bench.load.figures import Latency, latency, total
from bench.load.frames import wire_clips
from bench.load.live import Manner, Tally
from bench.load.process import Tell
from bench.load.sessions import Kind, sandbox_path, sessions_of
from bench.load.streams import Fleet

HTTP_CONNECTIONS = 4
HTTP_PAUSE_S = 0.2
ABORT_EVERY_S = 0.25
BROKEN_EVERY_S = 0.5
_JPEG_HEAD = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
BROKEN = (
    client_frame(BINARY, b""),
    client_frame(BINARY, b"<html>not a picture</html>"),
    client_frame(BINARY, _JPEG_HEAD + bytes(range(256)) * 16),
    client_frame(TEXT, json.dumps({"type": "frame", "image": "***"}).encode()),
)
REFUSALS = frozenset({"invalid_image", "unsupported_format", "image_too_large", "image_too_complex"})
"""Error codes that may answer a broken picture."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Number of live clients of each kind."""

    sandbox: int
    identification: int
    enrollment: int

    @classmethod
    def of(cls, sessions: int) -> Mix:
        """A third identify, a sixth enrol, the others are sandboxes; at least one of each from 3 sessions on."""
        identification, enrollment = max(1, sessions // 3), max(1, sessions // 6)
        return cls(max(1, sessions - identification - enrollment), identification, enrollment)


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts since the start; `latency_ms` and `seconds` since the last progress."""

    seconds: float
    sent: int
    answered: int
    dropped: int
    busy: int
    decided: int
    succeeded: int
    failures: Mapping[str, int]
    """Decided sessions that did not succeed, by reason."""
    latency_ms: Latency
    http_answered: int
    aborted: int
    refused: int
    """Broken pictures that were refused as expected."""
    errors: Mapping[str, int]


@dataclass(slots=True)
class _Trouble:
    """Counts of the clients that misbehave on purpose."""

    aborted: int
    refused: int
    errors: Counter[str]


@dataclass(frozen=True, slots=True)
class MixedJob:
    """Holds the mix for `seconds`. Sends a Progress note every `every_s`; returns the last, after all answers."""

    base_url: str
    api_key: str
    people: frozenset[str]
    mix: Mix
    manner: Manner
    seconds: float
    every_s: float

    async def run(self, tell: Tell) -> Progress:
        address = Address.of(self.base_url)
        anyone = frozenset[str]()
        http, trouble = HttpTally(), _Trouble(0, 0, Counter())
        async with AsyncExitStack() as stack:
            fleets = [
                await self._fleet(stack, address, kind, self.people if kind == "identification" else anyone, size)
                for kind, size in _sizes(self.mix)
            ]
            await self._probes(stack, address, http)
            troublemakers = [
                asyncio.create_task(_abort_for_ever(address, wire_clips(anyone, 1)[0].messages[0], trouble)),
                asyncio.create_task(_send_broken_for_ever(address, trouble)),
            ]
            stack.push_async_callback(_cancel, troublemakers)
            book = _Book(fleets, http, trouble)
            return await self._tell_progress(book, tell)

    async def _fleet(
        self, stack: AsyncExitStack, address: Address, kind: Kind, people: frozenset[str], size: int
    ) -> Fleet:
        clips = wire_clips(people, size)
        sessions = await stack.enter_async_context(sessions_of(self.base_url, self.api_key, kind, "passive"))
        return await stack.enter_async_context(Fleet(address, sessions, clips, size, self.manner, seed=size))

    async def _probes(self, stack: AsyncExitStack, address: Address, tally: HttpTally) -> None:
        for _ in range(HTTP_CONNECTIONS):
            probe = KeepAlive(address, "/api/health/", tally, HTTP_PAUSE_S)
            stack.callback(probe.close)
            await probe.connect()

    async def _tell_progress(self, book: _Book, tell: Tell) -> Progress:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self.seconds
        told_s = loop.time()
        while (left := end_s - loop.time()) > 0:
            await asyncio.sleep(min(self.every_s, left))
            now = loop.time()
            tell(book.progress(now - told_s))
            told_s = now
        for fleet in book.fleets:
            await fleet.fall_silent()
        return book.progress(loop.time() - told_s)


class _Book:
    """Keeps every tally, because late answers are counted in the tally of their frame."""

    def __init__(self, fleets: list[Fleet], http: HttpTally, trouble: _Trouble) -> None:
        self.fleets = fleets
        self._http = http
        self._trouble = trouble
        self._tallies: list[Tally] = []

    def progress(self, seconds: float) -> Progress:
        recent = [tally for fleet in self.fleets for tally in fleet.swap_tallies()]
        self._tallies += recent
        tallies = self._tallies
        return Progress(
            seconds=seconds,
            sent=sum(tally.sent for tally in tallies),
            answered=sum(tally.answered for tally in tallies),
            dropped=sum(tally.dropped for tally in tallies),
            busy=sum(tally.busy for tally in tallies),
            decided=sum(tally.decided for tally in tallies),
            succeeded=sum(tally.succeeded for tally in tallies),
            failures=total(tally.failures for tally in tallies),
            latency_ms=latency([value for tally in recent for value in tally.latencies_ms]),
            http_answered=len(self._http.latencies_ms),
            aborted=self._trouble.aborted,
            refused=self._trouble.refused,
            errors=total([self._http.errors, self._trouble.errors, *(tally.errors for tally in tallies)]),
        )


def _sizes(mix: Mix) -> list[tuple[Kind, int]]:
    return [("sandbox", mix.sandbox), ("identification", mix.identification), ("enrollment", mix.enrollment)]


async def _abort_for_ever(address: Address, frame: bytes, trouble: _Trouble) -> None:
    """Drop connections: at once, after the greeting, in the middle of a frame, or while a frame is processed."""
    chance = random.Random(0)
    parts = (b"", b"", frame[: len(frame) // 2], frame)
    for number in range(10**9):
        stage = number % len(parts)
        try:
            socket = await connect(address, sandbox_path(number), lambda _: None)
            if stage:
                await asyncio.sleep(chance.uniform(0, ABORT_EVERY_S))
                socket.write(parts[stage])
                await asyncio.sleep(0.01)
            socket.abort()
            trouble.aborted += 1
        except HandshakeRefused as error:
            trouble.errors[f"abort_handshake_{error.status}"] += 1
        except (OSError, TimeoutError) as error:
            trouble.errors[f"abort_{type(error).__name__}"] += 1
        await asyncio.sleep(ABORT_EVERY_S)


async def _send_broken_for_ever(address: Address, trouble: _Trouble) -> None:
    """Send broken pictures; each must be refused with an error code, and none may end the session."""

    def receive(text: bytes) -> None:
        message = json.loads(text)
        if message["type"] == "error" and message["code"] in REFUSALS:
            trouble.refused += 1
        elif message["type"] != "connection_established" and message.get("code") != "busy":
            trouble.errors[f"broken_{message.get('code', message['type'])}"] += 1

    while True:
        try:
            socket = await connect(address, sandbox_path(0), receive)
            await _send_broken(socket)
            if socket.closed.result() != NORMAL:
                trouble.errors[f"broken_closed_{socket.closed.result()}"] += 1
        except HandshakeRefused as error:
            trouble.errors[f"broken_handshake_{error.status}"] += 1
        except (OSError, TimeoutError) as error:
            trouble.errors[f"broken_{type(error).__name__}"] += 1
        await asyncio.sleep(BROKEN_EVERY_S)


async def _send_broken(socket: LoadSocket) -> None:
    """Send broken pictures until the socket is closed; a sandbox is at its time limit."""
    try:
        for number in range(10**9):
            socket.write(BROKEN[number % len(BROKEN)])
            await asyncio.wait({socket.closed}, timeout=BROKEN_EVERY_S)
            if socket.closed.done():
                return
    finally:
        socket.abort()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

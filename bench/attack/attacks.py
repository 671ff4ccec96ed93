"""Attacks on a running service, each a small function in `ATTACKS` that ends by itself."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from PIL import Image

from bench.load.client import Address
from bench.load.process import Tell

NICENESS = 10
"""Niceness of attackers: they stand for other machines and must not take the service's cores."""
ANSWER_TIMEOUT_S = 5.0
TOO_MUCH_BYTES = 16 << 20
"""A flood counts as not withstood when the service accepted so much; socket buffers on both sides hold less."""
PIECE = 65_536
PAUSE_S = 0.05


@dataclass(frozen=True, slots=True)
class Target:
    address: Address
    api_key: str
    request_timeout_s: float
    """The service's own request timeout."""

    def head(self, method: str, path: str, *headers: str) -> bytes:
        lines = (f"{method} {path} HTTP/1.1", f"Host: {self.address.host}:{self.address.port}", *headers)
        return "".join(f"{line}\r\n" for line in lines).encode()

    def post(self, path: str, content_type: str, length: int, *headers: str) -> bytes:
        said = (f"Content-Type: {content_type}", f"Content-Length: {length}")
        return self.head("POST", path, *said, *headers) + b"\r\n"

    @property
    def credentials(self) -> str:
        return f"Authorization: Bearer {self.api_key}"


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def flood(self, piece: bytes, total: int) -> int:
        """Send up to `total` bytes; returns how many were taken before the service refused more."""
        sent = 0
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while sent < total and not self.reader.at_eof():
                    await self.send(piece)
                    sent += len(piece)
                    await asyncio.sleep(0)
        return sent

    async def status(self, timeout_s: float = ANSWER_TIMEOUT_S) -> int:
        """Status of the answer; 0 when the connection ended without one, -1 when nothing came within the timeout."""
        try:
            async with asyncio.timeout(timeout_s):
                return int((await self.reader.readline() or b"HTTP/1.1 0")[9:12])
        except TimeoutError:
            return -1
        except OSError:
            return 0

    async def is_ended(self, timeout_s: float) -> bool:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(timeout_s):
                while await self.reader.read(PIECE):
                    pass
            return True
        return self.reader.exception() is not None


@asynccontextmanager
async def connected(target: Target) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection(target.address.host, target.address.port)
    try:
        yield Connection(reader, writer)
    finally:
        writer.transport.abort()


Attack = Callable[[Target], Awaitable[bool]]
"""Makes one attempt; returns whether the service withstood it: refused, ended or bounded it."""


async def long_header(target: Target) -> bool:
    async with connected(target) as client:
        await client.send(target.head("GET", "/api/health/") + b"X: ")
        return await client.flood(b"a" * PIECE, 100 << 20) < TOO_MUCH_BYTES


async def long_url(target: Target) -> bool:
    async with connected(target) as client:
        await client.send(b"GET /")
        return await client.flood(b"a" * PIECE, 50 << 20) < TOO_MUCH_BYTES


async def many_lines(target: Target) -> bool:
    async with connected(target) as client:
        await client.send(target.head("GET", "/api/health/"))
        return await client.flood(b"a:\r\n" * (PIECE // 4), 100 << 20) < TOO_MUCH_BYTES


async def half_head(target: Target) -> bool:
    async with connected(target) as client:
        await client.send(target.head("GET", "/api/health/"))
        return await client.is_ended(target.request_timeout_s + ANSWER_TIMEOUT_S)


async def slow_body(target: Target) -> bool:
    async with connected(target) as client:
        await client.send(target.post("/api/v1/sessions/", "application/json", 60_000, target.credentials))
        return await client.status(target.request_timeout_s + ANSWER_TIMEOUT_S) == 408


async def body_of_nobody(target: Target) -> bool:
    async with connected(target) as client:
        await client.send(target.post("/api/v1/faces/detect/", "image/jpeg", 100 << 20))
        taken = await client.flood(bytes(PIECE), 100 << 20)
        return taken < TOO_MUCH_BYTES and await client.status() in (0, 401)


async def picture_for_json(target: Target) -> bool:
    async with connected(target) as client:
        await client.send(target.post("/api/v1/sessions/", "image/x", 40 << 20, target.credentials))
        taken = await client.flood(b'[{"a":' * 10_000, 40 << 20)
        return taken < TOO_MUCH_BYTES and await client.status() in (0, 413)


async def connection(target: Target) -> bool:
    async with connected(target) as client:
        await client.send(target.head("GET", "/api/health/") + b"\r\n")
        answered = await client.status() in (0, 200, 503)
        await asyncio.sleep(1.0)
        return answered


async def pipelining(target: Target) -> bool:
    request = target.head("GET", "/api/v1/subjects/") + b"\r\n"
    async with connected(target) as client:
        return await client.flood(request * 500, 100 << 20) < TOO_MUCH_BYTES


async def pings(target: Target) -> bool:
    return await _socket_flood(target, b"\x89\x80\x00\x00\x00\x00")


async def fragments(target: Target) -> bool:
    return await _socket_flood(target, b"\x00\x80\x00\x00\x00\x00", first=b"\x01\x80\x00\x00\x00\x00")


async def _socket_flood(target: Target, frame: bytes, first: bytes = b"") -> bool:
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}")
    async with connected(target) as client:
        await client.send(target.head("GET", "/ws/auth/process-image/test_flood/", *upgrade) + b"\r\n")
        if await client.status() != 101:
            return True
        await client.send(first)
        return await client.flood(frame * 1_000, 100 << 20) < TOO_MUCH_BYTES


async def empty_segments(target: Target) -> bool:
    """A picture of 10 MB that consists nearly only of empty segments."""
    picture = _jpeg(progressive=False)
    return await _costly_picture(target, picture[:2] + b"\xff\xfe\x00\x02" * 2_400_000 + picture[2:])


async def many_scans(target: Target) -> bool:
    """A progressive picture that repeats its last scan 1,500 times."""
    picture = _jpeg(progressive=True)
    scan = picture[picture.rindex(b"\xff\xda") : -2]
    return await _costly_picture(target, picture[:-2] + scan * 1_500 + picture[-2:])


def _jpeg(*, progressive: bool) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (1_024, 768), (120, 90, 60)).save(file, "JPEG", progressive=progressive)
    return file.getvalue()


async def _costly_picture(target: Target, picture: bytes) -> bool:
    """Withstood when the picture is refused with an error code."""
    async with connected(target) as client:
        await client.send(target.post("/api/v1/faces/detect/", "image/jpeg", len(picture), target.credentials))
        with suppress(OSError):
            await client.send(picture)
        return await client.status(2 * ANSWER_TIMEOUT_S) in (413, 422, 503)


@dataclass(frozen=True, slots=True)
class Plan:
    attack: Attack
    clients: int
    """Simultaneous clients, each of which tries again after a pause."""


ATTACKS: dict[str, Plan] = {
    "long header": Plan(long_header, 4),
    "long URL": Plan(long_url, 4),
    "many header lines": Plan(many_lines, 4),
    "half-sent heads": Plan(half_head, 200),
    "slow bodies": Plan(slow_body, 100),
    "100 MB of nobody": Plan(body_of_nobody, 4),
    "40 MB for a JSON route": Plan(picture_for_json, 2),
    "connections": Plan(connection, 200),
    "pipelining": Plan(pipelining, 4),
    "pings": Plan(pings, 2),
    "fragments": Plan(fragments, 2),
    "empty segments": Plan(empty_segments, 1),
    "many scans": Plan(many_scans, 1),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    tried: int
    held: int


@dataclass(frozen=True, slots=True)
class AttackJob:
    """Runs the named attacks at once for `seconds`, then cancels or awaits the rest. Sends the note "begin"."""

    base_url: str
    api_key: str
    names: Sequence[str]
    request_timeout_s: float
    seconds: float

    async def run(self, tell: Tell) -> dict[str, Outcome]:
        os.nice(NICENESS - os.nice(0))
        target = Target(Address.of(self.base_url), self.api_key, self.request_timeout_s)
        end_s = time.monotonic() + self.seconds
        tell("begin")
        tries = {
            name: [asyncio.create_task(_again_and_again(plan.attack, target, end_s)) for _ in range(plan.clients)]
            for name, plan in ATTACKS.items()
            if name in self.names
        }
        results = {name: [held for task in tasks for held in await task] for name, tasks in tries.items()}
        return {name: Outcome(len(held), sum(held)) for name, held in results.items()}


async def _again_and_again(attack: Attack, target: Target, end_s: float) -> list[bool]:
    held = []
    while time.monotonic() < end_s:
        try:
            held.append(await attack(target))
        except OSError:  # The connection was refused or closed at once.
            held.append(True)
        await asyncio.sleep(PAUSE_S)
    return held

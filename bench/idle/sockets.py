"""Open sockets that only send pings."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from dataclasses import dataclass

from bench.load.client import TEXT, Address, HandshakeRefused, LoadSocket, client_frame, connect
from bench.load.process import Tell
from bench.load.sessions import sandbox_path

PING_EVERY_S = 60.0
"""Interval of each socket's pings, below the service's idle timeout of 90 s."""
PONG_TIMEOUT_S = 10.0
_MIN_PINGS_PER_S = 20.0
_OPENINGS_AT_ONCE = 128
_PING = client_frame(TEXT, json.dumps({"type": "ping"}).encode())


@dataclass(frozen=True, slots=True)
class IdleOutcome:
    opened: int
    greeted: int
    """Sockets that received `connection_established`."""
    connect_s: float
    """Time until the last socket was greeted or had failed."""
    pings: int
    pongs_ms: list[float]
    """Milliseconds from ping to pong."""
    lost: Counter[str]
    """Sockets that did not open or were closed early, by cause."""
    client_cpu_s: float


class _IdleSocket:
    """A socket that records its greeting and the latency of pongs."""

    def __init__(self, pongs_ms: list[float]) -> None:
        self.greeted = asyncio.Event()
        self.socket: LoadSocket | None = None
        self._pinged_at_s: deque[float] = deque()
        self._pongs_ms = pongs_ms

    @property
    def alive(self) -> bool:
        return self.greeted.is_set() and self.socket is not None and not self.socket.closed.done()

    def ping(self) -> None:
        assert self.socket is not None
        self._pinged_at_s.append(time.monotonic())
        self.socket.write(_PING)

    def receive(self, text: bytes) -> None:
        kind = json.loads(text)["type"]
        if kind == "connection_established":
            self.greeted.set()
        elif kind == "pong" and self._pinged_at_s:
            self._pongs_ms.append(1000 * (time.monotonic() - self._pinged_at_s.popleft()))


@dataclass(frozen=True, slots=True)
class IdleJob:
    """Opens sandbox sockets, keeps them for `hold_s` and closes them. Sends the notes "open", "held" and "closed"."""

    base_url: str
    sockets: int
    hold_s: float
    settle_s: float
    """Time between closing and the note "closed", for the server to release them."""

    async def run(self, tell: Tell) -> IdleOutcome:
        began_cpu_s = time.process_time()
        lost: Counter[str] = Counter()
        pongs_ms: list[float] = []
        idle = [_IdleSocket(pongs_ms) for _ in range(self.sockets)]
        connect_s = await self._open_all(idle, lost)
        greeted = sum(socket.greeted.is_set() for socket in idle)
        tell("open")
        pings = await self._hold([socket for socket in idle if socket.alive])
        lost += _losses(idle)
        tell("held")
        await _close_all([socket.socket for socket in idle if socket.socket is not None])
        await asyncio.sleep(self.settle_s)
        tell("closed")
        return IdleOutcome(
            opened=sum(socket.socket is not None for socket in idle),
            greeted=greeted,
            connect_s=connect_s,
            pings=pings,
            pongs_ms=pongs_ms,
            lost=lost,
            client_cpu_s=time.process_time() - began_cpu_s,
        )

    async def _open_all(self, idle: list[_IdleSocket], lost: Counter[str]) -> float:
        address, began_s = Address.of(self.base_url), time.monotonic()
        numbers = iter(range(len(idle)))

        async def open_some() -> None:
            for number in numbers:
                one = idle[number]
                try:
                    one.socket = await connect(address, sandbox_path(number), one.receive)
                    await asyncio.wait_for(one.greeted.wait(), PONG_TIMEOUT_S)
                except HandshakeRefused as error:
                    lost[f"handshake_{error.status}"] += 1
                except TimeoutError:
                    lost["not_opened_in_time" if one.socket is None else "not_greeted"] += 1
                except OSError as error:
                    lost[type(error).__name__] += 1

        await asyncio.gather(*(open_some() for _ in range(_OPENINGS_AT_ONCE)))
        return time.monotonic() - began_s

    async def _hold(self, idle: list[_IdleSocket]) -> int:
        """Ping the sockets in turn, evenly spread over time; returns the number of pings."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self.hold_s
        if not idle:
            return 0
        interval = 1 / max(_MIN_PINGS_PER_S, len(idle) / PING_EVERY_S)
        pings, due = 0, loop.time()
        while due < until:
            await asyncio.sleep(due - loop.time())
            one = idle[pings % len(idle)]
            if one.alive:
                one.ping()
            pings += 1
            due += interval
        await asyncio.sleep(max(0.0, until - loop.time()) + 1.0)
        return pings


def _losses(idle: list[_IdleSocket]) -> Counter[str]:
    """Causes of loss among the sockets that had opened."""
    sockets = [socket.socket for socket in idle if socket.socket is not None]
    return Counter(f"closed_{socket.closed.result()}" for socket in sockets if socket.closed.done())


async def _close_all(sockets: list[LoadSocket]) -> None:
    door = asyncio.Semaphore(_OPENINGS_AT_ONCE)

    async def close(socket: LoadSocket) -> None:
        async with door:
            await socket.close()

    await asyncio.gather(*(close(socket) for socket in sockets))

"""Runs live clients side by side for a measured time."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from bench.load.client import Address
from bench.load.frames import WireClip, wire_clips
from bench.load.live import LiveClient, Manner, Tally
from bench.load.process import Tell
from bench.load.sessions import Kind, Sessions, sessions_of
from testkit.stream_client import Liveness

GREETING_TIMEOUT_S = 60.0
GRACE_S = 3.0
"""Wait for answers after the last frame: longer than a frame may wait in the queue."""
_LOOK_EVERY_S = 0.02
_OPENINGS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class StreamJob:
    """Runs `sessions` clients for `warm_up_s`, then for the measured `seconds`; notes "begin" and "end" bound these."""

    base_url: str
    api_key: str
    kind: Kind
    liveness: Liveness
    people: frozenset[str]
    """People whose clips are sent; empty: all."""
    sessions: int
    manner: Manner
    warm_up_s: float
    seconds: float
    seed: int = 0

    async def run(self, tell: Tell) -> Outcome:
        clips = wire_clips(self.people, self.sessions)
        async with (
            sessions_of(self.base_url, self.api_key, self.kind, self.liveness) as sessions,
            Fleet(Address.of(self.base_url), sessions, clips, self.sessions, self.manner, self.seed) as fleet,
        ):
            await asyncio.sleep(self.warm_up_s)
            fleet.swap_tallies()
            tell("begin")
            began_s, began_cpu_s = time.monotonic(), time.process_time()
            await asyncio.sleep(self.seconds)
            tallies = fleet.swap_tallies()
            seconds, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
            tell("end")
            await fleet.fall_silent()
        return Outcome(seconds, cpu_s, tallies)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One tally per client, of the frames sent within `seconds`; `client_cpu_s`: CPU time in the same seconds."""

    seconds: float
    client_cpu_s: float
    tallies: list[Tally]


class Fleet:
    """Clients side by side, as a context manager: entered when all have been greeted; leaving it closes them."""

    def __init__(
        self,
        address: Address,
        sessions: Sessions,
        clips: Sequence[WireClip],
        size: int,
        manner: Manner,
        seed: int,
    ) -> None:
        chance = random.Random(seed)
        door = asyncio.Semaphore(_OPENINGS_AT_ONCE)
        self.clients = [
            LiveClient(slot, address, sessions, clips[slot % len(clips)], manner, door, chance) for slot in range(size)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(client.run()) for client in self.clients]
        greetings = [asyncio.create_task(client.greeted.wait()) for client in self.clients]
        _, late = await asyncio.wait(greetings, timeout=GREETING_TIMEOUT_S)
        for greeting in late:
            greeting.cancel()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def swap_tallies(self) -> list[Tally]:
        """Begin new tallies; returns the old ones, which still receive the answers to frames sent so far."""
        old = [client.tally for client in self.clients]
        for client in self.clients:
            client.tally = Tally()
        return old

    async def fall_silent(self) -> None:
        """Stop sending, and wait for the outstanding answers."""
        for client in self.clients:
            client.silent = True
        for _ in range(round(GRACE_S / _LOOK_EVERY_S)):
            if not any(client.waiting for client in self.clients):
                break
            await asyncio.sleep(_LOOK_EVERY_S)
        for client in self.clients:
            client.give_up_waiting()

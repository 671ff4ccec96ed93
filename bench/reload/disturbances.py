"""What is done to a service under load: its workers are replaced, added, taken away or killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import psutil

from testkit import loopback
from testkit.service import LiveService

Mode = Literal["changes", "kills"]

KILL = "kill -9"
_SETTLES_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Event:
    at_s: float
    name: str


async def disturb(service: LiveService, mode: Mode, rounds: int, pause_s: float, workers: int) -> list[Event]:
    """Do it `rounds` times, and wait until the service has its workers again; returns what was done when.

    A round of changes is a reload, a worker more, a reload and a worker fewer; one of kills kills the oldest worker.
    """
    actions: dict[Mode, list[Callable[[LiveService], str]]] = {
        "changes": [_sent("HUP"), _sent("TTIN"), _sent("HUP"), _sent("TTOU")],
        "kills": [_oldest_killed],
    }
    events = [Event(time.monotonic(), "the start")]
    await asyncio.sleep(pause_s)
    for number in range(rounds):
        for action in actions[mode]:
            name = f"{action(service)} {number + 1}"
            print(f"reload: {name}", file=sys.stderr, flush=True)
            events.append(Event(time.monotonic(), name))
            await asyncio.sleep(pause_s)
    await _until_settled(service, workers)
    return events


def _sent(name: str) -> Callable[[LiveService], str]:
    def send(service: LiveService) -> str:
        os.kill(service.pid, signal.Signals[f"SIG{name}"])
        return name

    return send


def _oldest_killed(service: LiveService) -> str:
    workers = psutil.Process(service.pid).children()
    os.kill(min(workers, key=psutil.Process.create_time).pid, signal.SIGKILL)
    return KILL


async def _until_settled(service: LiveService, workers: int) -> None:
    """Wait until as many workers as wanted are ready and no other is left."""
    until = time.monotonic() + _SETTLES_WITHIN_S
    while True:
        async with loopback.client(base_url=service.base_url, timeout=_SETTLES_WITHIN_S) as client:
            ready = {worker["pid"] for worker in (await client.get("/api/pool/status/")).json()["workers"]}
        alive = {worker.pid for worker in psutil.Process(service.pid).children()}
        if ready == alive and len(alive) == workers:
            return
        if time.monotonic() > until:
            told = "".join(service.log.read_text().splitlines(keepends=True)[-40:])
            raise RuntimeError(f"the workers did not come to rest: {ready} of {alive} are ready\n{told}")
        await asyncio.sleep(1)

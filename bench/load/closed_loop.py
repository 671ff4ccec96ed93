"""Closed-loop clients: each sends a frame when the last one is answered, as many as the service can take."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.load.client import Address, LoadSocket, connect
from bench.load.frames import Camera, wire_clips
from bench.load.process import Tell
from bench.load.sessions import sandbox_path


@dataclass(frozen=True, slots=True)
class ClosedLoopJob:
    """Measures answered frames per second of `sessions` sandbox sessions, after an unmeasured `settle_s`."""

    base_url: str
    sessions: int
    settle_s: float
    seconds: float

    async def run(self, tell: Tell) -> float:
        clips = wire_clips(frozenset(), self.sessions)
        askers = [_Asker(Camera(clips[n % len(clips)].messages, random.Random(n))) for n in range(self.sessions)]
        address = Address.of(self.base_url)
        sockets = [await connect(address, sandbox_path(n), asker.receive) for n, asker in enumerate(askers)]
        for asker, socket in zip(askers, sockets, strict=True):
            asker.begin(socket)
        await asyncio.sleep(self.settle_s)
        before, began_s = _answered(askers), time.monotonic()
        await asyncio.sleep(self.seconds)
        per_s = (_answered(askers) - before) / (time.monotonic() - began_s)
        lost = sum(socket.closed.done() for socket in sockets)
        await asyncio.gather(*(socket.close() for socket in sockets))
        refused = b", ".join({asker.refused for asker in askers if asker.refused}).decode()
        if lost or refused:
            raise RuntimeError(f"{lost} of {self.sessions} clients were cut off; refused: {refused or 'nothing'}")
        return per_s


class _Asker:
    def __init__(self, camera: Camera) -> None:
        self.answered = 0
        self.refused = b""
        self._camera = camera
        self._socket: LoadSocket | None = None

    def begin(self, socket: LoadSocket) -> None:
        self._socket = socket
        socket.write(self._camera.shoot())

    def receive(self, text: bytes) -> None:
        message = json.loads(text)
        if message["type"] not in ("frame_processed", "error"):
            return
        self.answered += message["type"] == "frame_processed"
        if message.get("code", "busy") != "busy":
            self.refused = text
        assert self._socket is not None
        self._socket.write(self._camera.shoot())


def _answered(askers: Sequence[_Asker]) -> int:
    return sum(asker.answered for asker in askers)

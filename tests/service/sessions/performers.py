"""Portraits that answer challenges over the real socket, one frame for each answer."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect

from testkit.faces.expressions import Action
from testkit.patience import PATIENCE_S
from testkit.service import LiveService
from testkit.stream_client import Message

AT_ONCE = 3

Script = Callable[[Sequence[Action]], Iterable[bytes]]
"""What is sent, once it is known what is asked."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One session: what was asked and sent, and what the backend reads of it afterwards."""

    asked: list[Action]
    sent: list[bytes] = field(repr=False)
    steps_done: int
    success: bool
    reason: str | None


async def attempt(service: LiveService, subject_id: str, script: Script) -> Attempt:
    """One session under `active`."""
    async with service.client() as client:
        created = await client.create_session("authentication", subject_id, "active")
        async with connect(created.websocket_url, compression=None, proxy=None) as socket:
            established = await _message(socket)
            asked: list[Action] = [step["action"] for step in established["challenge"]["steps"]]
            stream = _Stream(socket, established["pacing"]["target_fps"])
            completed = await stream.send(iter(script(asked)))
        session = await client.session(created.id)
    assert session["decision_token"] == completed["decision_token"]
    return Attempt(asked, stream.sent, stream.steps_done, completed["success"], completed["reason"])


async def attempts(service: LiveService, subject_id: str, scripts: Iterable[Script]) -> list[Attempt]:
    places = asyncio.Semaphore(AT_ONCE)

    async def in_turn(script: Script) -> Attempt:
        async with places:
            return await attempt(service, subject_id, script)

    return await asyncio.gather(*map(in_turn, scripts))


class _Stream:
    """Sends a frame when the one before was answered, and no sooner than the server asked for: a slow machine
    stretches the performance, but loses nothing of it."""

    def __init__(self, socket: ClientConnection, fps: float) -> None:
        self.sent: list[bytes] = []
        self.steps_done = 0
        self._socket = socket
        self._gap_s = 1 / fps

    async def send(self, frames: Iterator[bytes]) -> Message:
        """Until the server decides; what it has not decided when the frames end is given up. The decision."""
        due = time.monotonic()
        while (frame := await asyncio.to_thread(next, frames, None)) is not None:
            await asyncio.sleep(due - time.monotonic())
            due = time.monotonic() + self._gap_s
            await self._socket.send(frame)
            self.sent.append(frame)
            answer = await _message(self._socket)
            if answer["type"] == "authentication_complete":
                return answer
            assert answer["type"] == "frame_processed", answer
            self.steps_done = answer["liveness"]["steps_done"]
        await self._socket.send(json.dumps({"type": "cancel"}))
        return await _message(self._socket)


async def _message(socket: ClientConnection) -> Message:
    message: Message = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE_S))
    return message

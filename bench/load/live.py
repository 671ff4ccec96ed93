"""One live client: sends a clip frame by frame at its own pace, and counts the answers."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from bench.load.client import NORMAL, Address, HandshakeRefused, LoadSocket, connect
from bench.load.frames import Camera, WireClip
from bench.load.sessions import Sessions
from testkit.stream_client import ServiceError

_RETRY_S = 1.0


@dataclass(slots=True)
class Tally:
    """Counts of the outcomes of one client's frames and sessions."""

    sent: int = 0
    answered: int = 0
    dropped: int = 0
    """Frames replaced by a newer one, by the server's `dropped`; busy answers do not carry it."""
    busy: int = 0
    decided: int = 0
    succeeded: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """Decided sessions that did not succeed, by reason."""
    latencies_ms: list[float] = field(default_factory=list)
    """From send to answer, for each answered frame."""
    late_ms: list[float] = field(default_factory=list)
    """Delay with which each frame left: the client's own slowness."""
    errors: Counter[str] = field(default_factory=Counter)
    """Unexpected events, by name."""


@dataclass(frozen=True, slots=True)
class Manner:
    """Pace of the clients: `fps` frames per second each, without waiting for answers.

    With `obey_pacing` at most the server's `target_fps`, and nothing during the `retry_after_ms` of a busy answer.
    """

    fps: float
    obey_pacing: bool


@dataclass(frozen=True, slots=True)
class _Sent:
    seq: int
    at_s: float
    tally: Tally


class LiveClient:
    """One person before one camera, in one session after the other."""

    def __init__(
        self,
        slot: int,
        address: Address,
        sessions: Sessions,
        clip: WireClip,
        manner: Manner,
        door: asyncio.Semaphore,
        chance: random.Random,
    ) -> None:
        self.tally = Tally()
        self.greeted = asyncio.Event()
        self.silent = False
        self._slot = slot
        self._address = address
        self._sessions = sessions
        self._person = clip.person
        self._camera = Camera(clip.messages, chance)
        self._manner = manner
        self._door = door
        self._chance = chance
        self._connection: _Connection | None = None

    @property
    def waiting(self) -> bool:
        return self._connection is not None and self._connection.waiting

    def give_up_waiting(self) -> None:
        if self._connection is not None:
            self._connection.give_up_waiting()

    async def run(self) -> None:
        """Run sessions until cancelled."""
        while True:
            try:
                await self._play()
            except HandshakeRefused as error:
                await self._fail(f"handshake_{error.status}")
            except ServiceError as error:
                await self._fail(f"http_{error.code}")
            except (OSError, TimeoutError, httpx.TransportError) as error:
                await self._fail(type(error).__name__)

    async def _play(self) -> None:
        self._camera.rewind()
        connection = _Connection(self, self._camera, self._manner, self._chance.random())
        async with self._door:
            path = await self._sessions.open(self._slot, self._person)
            socket = await connect(self._address, path, connection.receive)
        self._connection = connection
        connection.start(socket)
        try:
            code = await asyncio.shield(socket.closed)
            connection.stop()
            if code != NORMAL:
                await self._fail(f"closed_{code}")
        finally:
            connection.stop()
            self._connection = None
            with suppress(asyncio.CancelledError):
                await socket.close()

    async def _fail(self, name: str) -> None:
        self.tally.errors[name] += 1
        await asyncio.sleep(_RETRY_S)


class _Connection:
    """The frames of one socket, from `connection_established` to its end."""

    def __init__(self, client: LiveClient, camera: Camera, manner: Manner, phase: float) -> None:
        self._client = client
        self._camera = camera
        self._manner = manner
        self._fps = manner.fps
        self._phase = phase
        self._loop = asyncio.get_running_loop()
        self._socket: LoadSocket | None = None
        self._greeted = self._over = False
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._seq = 0
        self._unanswered: deque[_Sent] = deque()
        self._skipped: list[_Sent] = []
        self._dropped = 0

    @property
    def waiting(self) -> bool:
        return bool(self._unanswered) and not self._over

    def start(self, socket: LoadSocket) -> None:
        """Start sending. The greeting may arrive before this call: it follows the handshake at once."""
        self._socket = socket
        self._begin()

    def stop(self) -> None:
        """Stop sending; unanswered frames are no error: the session is decided or its socket is closed."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._settle_the_rest()

    def give_up_waiting(self) -> None:
        self._settle_the_rest()
        if self.waiting:
            for sent in self._unanswered:
                sent.tally.errors["unanswered"] += 1
            self._unanswered.clear()

    def receive(self, text: bytes) -> None:
        message: dict[str, Any] = json.loads(text)
        match message["type"]:
            case "frame_processed":
                self._answered(message)
            case "error":
                self._refused(message)
            case "connection_established":
                self._greeted = True
                self._pace(message["pacing"])
                self._begin()
            case "pong" | "server_draining":
                pass
            case _:
                self._complete(message)

    def _begin(self) -> None:
        if self._greeted and self._socket is not None:
            self._client.greeted.set()
            self._due_s = self._loop.time() + self._phase / self._fps
            self._timer = self._loop.call_at(self._due_s, self._send)

    def _send(self) -> None:
        if self._over or self._client.silent:
            return
        assert self._socket is not None
        now = self._loop.time()
        self._seq += 1
        tally = self._client.tally
        self._socket.write(self._camera.shoot())
        self._unanswered.append(_Sent(self._seq, now, tally))
        tally.sent += 1
        tally.late_ms.append(1000 * (now - self._due_s))
        self._due_s = max(self._due_s + 1 / self._fps, now)
        self._timer = self._loop.call_at(self._due_s, self._send)

    def _answered(self, message: dict[str, Any]) -> None:
        sent = self._take(message["seq"])
        if sent is not None:
            sent.tally.answered += 1
            sent.tally.latencies_ms.append(1000 * (self._loop.time() - sent.at_s))
        self._settle(message["dropped"])
        self._pace(message["pacing"])

    def _refused(self, message: dict[str, Any]) -> None:
        sent = self._take(message["seq"]) if "seq" in message else None
        tally = self._client.tally if sent is None else sent.tally
        if message["code"] != "busy":
            tally.errors[message["code"]] += 1
            return
        tally.busy += 1
        if self._manner.obey_pacing:
            self._pause(message.get("retry_after_ms", 0) / 1000)

    def _complete(self, message: dict[str, Any]) -> None:
        self.stop()
        tally = self._client.tally
        tally.decided += 1
        if message["success"]:
            tally.succeeded += 1
        else:
            tally.failures[message["reason"]] += 1
        assert self._socket is not None
        self._socket.say_goodbye()

    def _take(self, seq: int) -> _Sent | None:
        """Take the frame that an answer is for; frames before it will not be answered any more."""
        while self._unanswered and self._unanswered[0].seq < seq:
            self._skipped.append(self._unanswered.popleft())
        return self._unanswered.popleft() if self._unanswered and self._unanswered[0].seq == seq else None

    def _settle(self, dropped: int) -> None:
        """Count the skipped frames: as many as the server reports were replaced, the others are lost."""
        replaced, self._dropped = dropped - self._dropped, dropped
        for index, sent in enumerate(self._skipped):
            if index < replaced:
                sent.tally.dropped += 1
            else:
                sent.tally.errors["unanswered"] += 1
        self._skipped.clear()

    def _settle_the_rest(self) -> None:
        """Count frames skipped before a last busy answer: no `dropped` reports them, but they were replaced."""
        for sent in self._skipped:
            sent.tally.dropped += 1
        self._skipped.clear()

    def _pace(self, pacing: dict[str, Any]) -> None:
        if self._manner.obey_pacing:
            self._fps = min(self._manner.fps, pacing["target_fps"])

    def _pause(self, seconds: float) -> None:
        if self._timer is not None and not self._over:
            self._timer.cancel()
            self._due_s = max(self._due_s, self._loop.time() + seconds)
            self._timer = self._loop.call_at(self._due_s, self._send)

"""The socket: moves bytes between a client and its session, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer

from core.liveness.actions import NEWEST_VERSION
from database.outages import outage_of
from logs.tracebacks import let_go
from monitoring import metrics
from recognition import runtime as runtimes
from recognition.runtime import Runtime
from recognition.sessions import lifecycle
from recognition.sessions.lease import AlreadyDecided, SessionNotFound
from recognition.sessions.refusals import AttemptsExceeded
from recognition.sessions.state import CANCELLATION, Outcome
from recognition.streaming.answers import error_message, session_complete
from recognition.streaming.pipeline import SandboxStream, SessionStream, Stream
from scheduling.executor import FrameFailed
from scheduling.frame_slot import FrameSlot
from server import draining
from wire.errors import (
    Idle,
    InternalError,
    InvalidMessage,
    MustWait,
    Overloaded,
    Refused,
    UnknownToken,
    WireError,
)
from wire.inbound import BadFrame, Cancel, Event, Frame, Ping, RateLimit, WireSession
from wire.messages import ErrorMessage, Pong, ServerDraining, ServerMessage, SessionComplete

logger = logging.getLogger(__name__)

SANDBOX_PREFIX = "test_"
NORMAL_CLOSE = 1000
INTERNAL_CLOSE = 1011
LINGER_S = 1.0
RECONNECT_AFTER_MS = (250, 2_000)
"""Spread out, so that the clients of a worker that ends do not all come at once."""


class FaceConsumer(AsyncConsumer):
    """One client's connection. Errors of every kind end in `_fail`, the only place that answers them."""

    open_connections = 0

    stream: Stream
    wire: WireSession

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # Neither a channel layer nor a database check per message: a frame needs none of both.
        self.scope = scope
        self._out: Any = send
        self._slot = FrameSlot()
        self._worker: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_heard = time.monotonic()
        self._closed = False
        self._completed = False
        self._out_of_time = False
        FaceConsumer.open_connections += 1
        draining.farewells.add(self._farewell)
        metrics.connections.inc()
        try:
            while True:
                await self.dispatch(await receive())
        except StopConsumer:
            pass
        finally:
            FaceConsumer.open_connections -= 1
            draining.farewells.discard(self._farewell)
            metrics.connections.dec()
            await self._end_tasks()

    async def dispatch(self, message: Any) -> None:
        try:
            match message["type"]:
                case "websocket.connect":
                    await self._open()
                case "websocket.receive":
                    await self._receive(message)
                case "websocket.disconnect":
                    raise StopConsumer
        except StopConsumer:
            raise
        except Exception as error:
            await self._fail(error)

    @property
    def _is_over(self) -> bool:
        """No further frame is looked at; a stream that never pauses must not outlive its time limit."""
        return self._closed or self._completed or self._out_of_time

    async def _open(self) -> None:
        await self._out({"type": "websocket.accept"})
        runtime = await asyncio.to_thread(runtimes.current)
        settings = runtime.settings
        if FaceConsumer.open_connections > settings.max_connections:
            raise Overloaded("this worker has no place for another connection", retry_after_ms=2_000)
        _check_origin(self.scope, settings.allowed_origins)
        try:
            self.stream = await self._find_stream(runtime)
        except AlreadyDecided as error:
            await self._complete(session_complete(error.decision))
            return
        self.wire = WireSession(settings.max_image_bytes, RateLimit(settings.max_messages_per_s))
        await self._send(self.stream.established())
        self._after(self.stream.seconds_left, self._time_is_up)
        self._after(settings.idle_timeout_s, self._check_idle)

    async def _find_stream(self, runtime: Runtime) -> Stream:
        token = self.scope["url_route"]["kwargs"]["token"]
        if token.startswith(SANDBOX_PREFIX) and runtime.settings.sandbox_enabled:
            return SandboxStream(runtime)
        version = _challenge_version(self.scope)
        try:
            lease = await runtime.database.run(lifecycle.connect_by_token, runtime, token, version, _host(self.scope))
        except (lifecycle.TokenInvalid, SessionNotFound) as error:
            raise UnknownToken(str(error)) from error
        except AttemptsExceeded as error:
            raise MustWait(str(error), retry_after_ms=error.retry_after_ms) from error
        if lease.resumed:
            lease.flow.resume()
        return SessionStream(runtime, lease)

    async def _receive(self, message: Any) -> None:
        if self._completed:
            await self._close(NORMAL_CLOSE)
        if self._closed:
            return
        now = self._last_heard = time.monotonic()
        data = message.get("bytes")
        event = self.wire.receive_text(message["text"], now) if data is None else self.wire.receive_bytes(data, now)
        await self._handle(event)

    async def _handle(self, event: Event) -> None:
        match event:
            case Ping():
                await self._send(Pong())
            case Cancel():
                await self._end_with(CANCELLATION)
            case Frame() | BadFrame():
                # Inference runs beside this handler, so that messages and the disconnect are seen meanwhile.
                dropped = self._slot.dropped
                if self._slot.offer(event):
                    self._worker = asyncio.create_task(self._work())
                metrics.dropped.inc(self._slot.dropped - dropped)

    async def _work(self) -> None:
        try:
            going_on = True
            while going_on and not self._is_over:
                await self._answer()
                going_on = self._slot.goes_on()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            await self._fail(error)

    async def _answer(self) -> None:
        try:
            step = await self.stream.process(self._slot)
        except FrameFailed as failed:
            await self._send(error_message(failed.error, failed.seq))
            let_go(failed)
            return
        if step.processed is not None:
            await self._send(step.processed)
        if step.complete is not None:
            await self._complete(step.complete)

    async def _end_with(self, outcome: Outcome) -> None:
        if self._completed:
            return
        if isinstance(self.stream, SandboxStream):
            await self._close(NORMAL_CLOSE)
        else:
            await self._complete(await self.stream.finish(outcome))

    async def _complete(self, complete: SessionComplete) -> None:
        """Tell the result and close: a client that is about to send its next frame may do so and then read it."""
        if not self._completed:
            self._completed = True
            if not self._closed:
                await self._write(complete)
            self._after(LINGER_S, self._linger_is_over)

    async def _farewell(self) -> None:
        wait_ms = random.randint(*RECONNECT_AFTER_MS)  # noqa: S311  spread, not secret
        await self._send(ServerDraining(reconnect_after_ms=wait_ms))

    async def _linger_is_over(self) -> None:
        await self._close(NORMAL_CLOSE)

    async def _time_is_up(self) -> None:
        self._out_of_time = True
        if self._worker is not None and not self._worker.done():
            await asyncio.wait({self._worker})
        if not self._closed:
            await self._end_with(self.stream.flow.time_is_up())

    async def _check_idle(self) -> None:
        idle_timeout_s = self.stream.runtime.settings.idle_timeout_s
        left = self._last_heard + idle_timeout_s - time.monotonic()
        if left <= 0:
            raise Idle(f"nothing was heard for {idle_timeout_s:g} s")
        self._after(left, self._check_idle)

    def _after(self, seconds: float, action: Any) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(max(0.0, seconds), self._start, action))

    def _start(self, action: Any) -> None:
        task = asyncio.create_task(self._guarded(action))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, action: Any) -> None:
        try:
            await action()
        except Exception as error:
            await self._fail(error)

    async def _send(self, message: ServerMessage) -> None:
        """Nothing follows the result: what was in work meanwhile is not told any more."""
        if not (self._closed or self._completed):
            await self._write(message)

    async def _write(self, message: ServerMessage) -> None:
        text = message.model_dump_json(exclude_none=isinstance(message, ErrorMessage))
        await self._out({"type": "websocket.send", "text": text})

    async def _fail(self, error: Exception) -> None:
        error = outage_of(error) or error
        if not isinstance(error, WireError) or error.close_code is None:
            logger.exception("a connection failed", exc_info=error)
            error = InternalError("something went wrong on the server; connect again to go on")
        with contextlib.suppress(Exception):  # The client may be gone; there is nobody left to tell.
            await self._send(error_message(error))
            await self._close(error.close_code or INTERNAL_CLOSE)

    async def _close(self, code: int) -> None:
        if not self._closed:
            self._closed = True
            await self._out({"type": "websocket.close", "code": code})

    async def _end_tasks(self) -> None:
        self._closed = True
        for timer in self._timers:
            timer.cancel()
        tasks = {*self._tasks, *([self._worker] if self._worker else [])}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _challenge_version(scope: Any) -> int:
    """What the client says it knows; one that says nothing is new."""
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("challenge_version", [str(NEWEST_VERSION)])[-1]
    if not re.fullmatch("[1-9][0-9]{0,3}", asked):
        raise InvalidMessage(f"challenge_version must be a number from 1 to {NEWEST_VERSION}")
    return int(asked)


def _host(scope: Any) -> str:
    """The client's address, as the server or a proxy it trusts saw it."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _check_origin(scope: Any, allowed: tuple[str, ...]) -> None:
    """A page of another site may not use a visitor's socket unless it was allowed; programs send no origin."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin or "*" in allowed or origin in allowed:
        return
    try:
        same = urlsplit(origin).netloc == headers.get(b"host", b"").decode("latin-1")
    except ValueError:
        same = False
    if not same:
        raise Refused("this origin is not allowed")

"""The socket: moves bytes between a client and its session, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import re
import time
from contextlib import ExitStack
from enum import Enum, auto
from typing import TypedDict
from urllib.parse import parse_qs, urlsplit

from asgiref.typing import (
    ASGIReceiveCallable,
    ASGISendCallable,
    WebSocketAcceptEvent,
    WebSocketCloseEvent,
    WebSocketReceiveEvent,
    WebSocketScope,
    WebSocketSendEvent,
)

from audit import actor as actors
from core.liveness.actions import NEWEST_VERSION
from database.outages import outage_of
from logs import context
from logs.advice import warn_once
from logs.tracebacks import let_go
from monitoring import metrics
from recognition.sessions import lifecycle
from recognition.sessions.lease import AlreadyDecided, Lease, SessionNotFound
from recognition.sessions.refusals import AttemptsExceeded
from recognition.sessions.state import CANCELLATION, Outcome
from recognition.streaming.answers import error_message, session_complete
from recognition.streaming.pipeline import SandboxStream, SessionStream, Stream
from recognition.worker import Worker, in_scope
from scheduling.executor import FrameFailed
from scheduling.frame_slot import FrameSlot
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

ORIGIN_ADVICE = (
    "pages of this origin may not connect: set FACE_PUBLIC_URL to the address that browsers use, or list the origin in "
    "FACE_ALLOWED_ORIGINS; a proxy should pass Host on"
)
SANDBOX_PREFIX = "test_"
NORMAL_CLOSE = 1000
INTERNAL_CLOSE = 1011
CLOSE_AFTER_RESULT_S = 1.0
CLEAN_CLOSES = (NORMAL_CLOSE, 1001)
"""Codes with which a client closes; a connection that is cut has others."""
STILL_CLOSING_S = 0.25
"""Longer than it takes to note that a client has heard its result."""
RECONNECT_AFTER_MS = (250, 2_000)
"""Range of random delays: the clients of a worker that ends must not all reconnect at once."""


class Route(TypedDict):
    kwargs: dict[str, str]


class SocketScope(WebSocketScope):
    """The scope of a socket whose path Channels has taken apart."""

    url_route: Route


class Phase(Enum):
    """Phase of a connection. It only moves on to a later one."""

    OPENING = auto()
    """Accepted; the session has not been found yet."""
    STREAMING = auto()
    """Greeted: frames are processed."""
    DECIDED = auto()
    """Result sent, the last message. The close follows the client's next message or CLOSE_AFTER_RESULT_S; a client that
    is cut off before may connect again and hear the result."""
    CLOSED = auto()
    """Close sent, or client gone."""


class ClientGone(Exception):
    pass


class FaceConsumer:
    """One client's connection. An exception in one of its tasks ends all of them, and `_fail` answers it."""

    _tasks: asyncio.TaskGroup
    _registration: ExitStack
    """Among the worker's open sockets, once the worker is known."""
    _stream: Stream
    _wire: WireSession

    def __init__(self, scope: SocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        self._scope = scope
        self._receive = receive
        self._out = send
        self._phase = Phase.OPENING
        self._slot = FrameSlot()
        self._turn = asyncio.Lock()
        """Taken by a frame or by the time limit: a frame in work is answered before the session times out, and
        no frame is processed afterwards, even when frames come without a pause."""
        self._last_heard = time.monotonic()

    async def run(self) -> None:
        """Serve the client until it is gone."""
        metrics.connections.inc()
        try:
            with ExitStack() as self._registration:
                await self._serve()
        finally:
            self._phase = Phase.CLOSED
            metrics.connections.dec()

    async def _serve(self) -> None:
        gone = False
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._open()
                await self._listen()
        except* ClientGone:
            gone = True
        except* Exception as failed:
            first, *others = failed.exceptions
            for other in others:  # Tasks that failed before the group could cancel them.
                logger.error("a second task of a connection failed", exc_info=other)
            await self._fail(first)
        while not gone:
            gone = (await self._receive())["type"] == "websocket.disconnect"

    async def _open(self) -> None:
        await self._receive()  # The first event is the client's wish to connect.
        await self._out(WebSocketAcceptEvent(type="websocket.accept", subprotocol=None, headers=[]))
        worker = in_scope(self._scope)
        settings = worker.settings
        self._registration.enter_context(worker.open_sockets.registered(self._send_drain_notice))
        if len(worker.open_sockets) > settings.max_connections:
            raise Overloaded("this worker has no place for another connection", retry_after_ms=2_000)
        _check_origin(self._scope, settings.origins)
        try:
            self._stream = await self._find_stream(worker)
        except AlreadyDecided as error:
            await self._complete(session_complete(error.decision))
            return
        self._wire = WireSession(settings.max_image_bytes, RateLimit(settings.max_messages_per_s))
        await self._send(self._stream.established())
        self._phase = Phase.STREAMING
        self._tasks.create_task(self._watch_time())
        self._tasks.create_task(self._watch_silence(settings.idle_timeout_s))

    async def _find_stream(self, worker: Worker) -> Stream:
        token = self._token
        if token.startswith(SANDBOX_PREFIX) and worker.settings.sandbox_enabled:
            return SandboxStream(worker)
        version = _challenge_version(self._scope)
        try:
            lease = await self._connect(worker, token, version)
        except (lifecycle.TokenInvalid, SessionNotFound) as error:
            raise UnknownToken(str(error)) from error
        except AttemptsExceeded as error:
            raise MustWait(str(error), retry_after_ms=error.retry_after_ms) from error
        actors.current.set(actors.client_of(lease.session.pk))
        context.session.set(str(lease.session.pk))
        context.tenant.set(lease.session.tenant_id)
        if lease.resumed:
            lease.flow.resume()
        return SessionStream(worker, lease)

    async def _connect(self, worker: Worker, token: str, version: int) -> Lease:
        async def connect() -> Lease:
            host = _host(self._scope)
            return await worker.database.run(lifecycle.connect_by_token, worker.deciding, token, version, host)

        try:
            return await connect()
        except AlreadyDecided as decided:
            if not decided.again:
                raise
        await asyncio.sleep(STILL_CLOSING_S)  # The connection that was told may just have closed.
        return await connect()

    async def _listen(self) -> None:
        """Handle messages one after the other. Raises ClientGone after the last, and WireError."""
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                if self._phase is Phase.DECIDED and event["code"] in CLEAN_CLOSES:
                    await self._note_told()
                raise ClientGone
            if event["type"] == "websocket.receive":
                await self._take(event)

    async def _take(self, message: WebSocketReceiveEvent) -> None:
        if self._phase is Phase.DECIDED:
            await self._close_told()
        if self._phase is Phase.CLOSED:
            return
        now = self._last_heard = time.monotonic()
        data = message.get("bytes")
        if data is None:
            await self._handle(self._wire.receive_text(message["text"] or "", now))
        else:
            await self._handle(self._wire.receive_bytes(data, now))

    async def _handle(self, event: Event) -> None:
        match event:
            case Ping():
                await self._send(Pong())
            case Cancel():
                await self._end_with(CANCELLATION)
            case Frame() | BadFrame():
                # Inference runs beside this task, so that messages and the disconnect are seen meanwhile.
                dropped = self._slot.dropped
                if self._slot.offer(event):
                    self._tasks.create_task(self._work())
                metrics.dropped.inc(self._slot.dropped - dropped)

    async def _work(self) -> None:
        """Answer frames until none waits, or the phase is no longer STREAMING."""
        going_on = True
        while going_on:
            async with self._turn:
                if self._phase is not Phase.STREAMING:
                    return
                await self._answer()
            going_on = self._slot.goes_on()

    async def _answer(self) -> None:
        try:
            answers = await self._stream.process(self._slot)
        except FrameFailed as failed:
            await self._send(error_message(failed.error, failed.seq))
            let_go(failed)
            return
        if answers.processed is not None:
            await self._send(answers.processed)
        if answers.complete is not None:
            await self._complete(answers.complete)

    async def _watch_time(self) -> None:
        await asyncio.sleep(self._stream.seconds_left)
        async with self._turn:
            await self._end_with(self._stream.flow.time_is_up())

    async def _watch_silence(self, timeout_s: float) -> None:
        """Raises Idle when no message came for `timeout_s` seconds."""
        while (left := self._last_heard + timeout_s - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left)  # No asyncio.Event: every message would have to set it.
        if self._phase is Phase.STREAMING:
            raise Idle(f"nothing was heard for {timeout_s:g} s")

    async def _end_with(self, outcome: Outcome) -> None:
        if self._phase is not Phase.STREAMING:
            return
        if isinstance(self._stream, SandboxStream):
            await self._close(NORMAL_CLOSE)
        else:
            await self._complete(await self._stream.finish(outcome))

    async def _complete(self, complete: SessionComplete) -> None:
        """Send the result and close later: a client about to send a frame can still do so, and then read the result."""
        if self._is_open:
            self._phase = Phase.DECIDED
            await self._write(complete)
            self._tasks.create_task(self._close_soon())

    async def _close_soon(self) -> None:
        await asyncio.sleep(CLOSE_AFTER_RESULT_S)
        await self._close_told()

    async def _close_told(self) -> None:
        await self._note_told()
        await self._close(NORMAL_CLOSE)

    async def _note_told(self) -> None:
        """Note that the client has the result: from now on its token is used. While the database is away it is not
        noted, and the client could hear the result again."""
        try:
            await in_scope(self._scope).database.run(lifecycle.note_told, self._token)
        except Exception as error:
            if outage_of(error) is None:
                raise
            logger.warning("that a client has heard its result was not noted: %s", error)

    async def _send_drain_notice(self) -> None:
        wait_ms = random.randint(*RECONNECT_AFTER_MS)  # noqa: S311  spread, not secret
        await self._send(ServerDraining(reconnect_after_ms=wait_ms))

    @property
    def _token(self) -> str:
        return self._scope["url_route"]["kwargs"]["token"]

    @property
    def _is_open(self) -> bool:
        """Whether messages may still be sent: none follows the result."""
        return self._phase in (Phase.OPENING, Phase.STREAMING)

    async def _send(self, message: ServerMessage) -> None:
        if self._is_open:
            await self._write(message)

    async def _write(self, message: ServerMessage) -> None:
        text = message.model_dump_json(exclude_none=isinstance(message, ErrorMessage))
        await self._out(WebSocketSendEvent(type="websocket.send", bytes=None, text=text))

    async def _fail(self, error: Exception) -> None:
        """Answer an error, and close. Raises nothing."""
        error = outage_of(error) or error
        if not isinstance(error, WireError) or error.close_code is None:
            logger.exception("a connection failed", exc_info=error)
            error = InternalError("something went wrong on the server; connect again to go on")
        with contextlib.suppress(Exception):  # The client may be gone.
            await self._send(error_message(error))
            await self._close(error.close_code or INTERNAL_CLOSE)

    async def _close(self, code: int) -> None:
        if self._phase is not Phase.CLOSED:
            self._phase = Phase.CLOSED
            metrics.closed.labels(str(code)).inc()
            await self._out(WebSocketCloseEvent(type="websocket.close", code=code, reason=None))


async def serve_socket(scope: SocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """The ASGI application of the sockets."""
    await FaceConsumer(scope, receive, send).run()


def _challenge_version(scope: SocketScope) -> int:
    """Challenge version that the client names; without one, the newest."""
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("challenge_version", [str(NEWEST_VERSION)])[-1]
    if not re.fullmatch("[1-9][0-9]{0,3}", asked):
        raise InvalidMessage(f"challenge_version must be a number from 1 to {NEWEST_VERSION}")
    return int(asked)


def _host(scope: SocketScope) -> str:
    """The client's address, as the server or a proxy it trusts saw it."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def _check_origin(scope: SocketScope, allowed: tuple[str, ...]) -> None:
    """Refuse a page of another site, unless it is allowed. Programs send no origin and may connect."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin or "*" in allowed or origin in allowed:
        return
    try:
        same = urlsplit(origin).netloc == headers.get(b"host", b"").decode("latin-1")
    except ValueError:
        same = False
    if not same:
        warn_once(logger, ORIGIN_ADVICE)
        logger.info("a socket for a page of %r was refused", origin)
        raise Refused(ORIGIN_ADVICE)

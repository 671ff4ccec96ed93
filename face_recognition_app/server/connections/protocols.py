"""Uvicorn's protocols with limits on what a connection may cost before the application knows of it."""

from __future__ import annotations

import asyncio
import time
from asyncio.transports import BaseTransport
from contextlib import suppress
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from logs import request_id
from server.connections.acceptor import ConnectionCount
from server.connections.bounded_http import BoundedHttp, HttpLimits
from server.connections.connection_limit import ConnectionLimit
from vocabulary.errors import ErrorCode
from web.refusal import HttpRefusal
from wire.errors import TooFast
from wire.inbound import RateLimit
from wire.messages import ErrorMessage

CLOSE_GRACE_S = 1.0
"""Grace period for the close message of a client that may not be reading."""
PARSE_CHUNK_BYTES = 4096
"""Bytes."""
UNCOUNTED_FRAGMENT_BYTES = 1024
"""Bytes from which a fragment is not counted: only small ones cost more to parse than they carry."""


HANDSHAKE_CODES = {
    405: ErrorCode.METHOD_NOT_ALLOWED,
    414: ErrorCode.HEADERS_TOO_LARGE,
    431: ErrorCode.HEADERS_TOO_LARGE,
    500: ErrorCode.INTERNAL,
}
"""Error code by status of a refused handshake; `bad_request` for any other."""


class Handshake(ServerProtocol):
    """The handshake of websockets, with the error envelope and the request's id in its refusals."""

    _request_id: str | None = None

    def accept(self, request: Request) -> Response:
        self._request_id = request_id.choose(
            (name.lower().encode(), value.encode("latin-1")) for name, value in request.headers.raw_items()
        )
        return super().accept(request)

    def reject(self, status: Any, text: str) -> Response:
        response = super().reject(status, text)
        refusal = HttpRefusal(HANDSHAKE_CODES.get(status, ErrorCode.BAD_REQUEST), text.strip())
        id_ = self._request_id or request_id.choose(())
        response.body = refusal.body(id_)
        for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(response.body)))):
            del response.headers[name]
            response.headers[name] = value
        response.headers["x-request-id"] = id_
        return response


class BoundedWebSockets(WebSocketsSansIOProtocol):
    """Uvicorn's WebSockets, bounded so that none can delay the others or make the worker grow."""

    def __init__(self, count: ConnectionCount, max_messages_per_s: int, **uvicorn_arguments: Any) -> None:
        super().__init__(**uvicorn_arguments)
        self.conn = Handshake(max_size=self.config.ws_max_size, logger=self.logger)
        self._count = count
        self._unseen_rate = RateLimit(max_messages_per_s)
        """Limit of what the application does not see: pings, pongs, small fragments, messages after the close."""
        self._flooded = False
        self._early = b""
        """Bytes that came before the handshake was answered; parsed after it."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        self._count.opened()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._count.closed()

    async def send(self, message: Any) -> None:
        # A client that is gone is no error: the application learns of it from `receive`.
        with suppress(ClientDisconnected):
            await super().send(message)
        if self._early and self.handshake_complete and not self.transport.is_closing():
            early, self._early = self._early, b""
            self.transport.resume_reading()
            self.data_received(early)

    def data_received(self, data: bytes) -> None:
        if self.handshake_initiated and not self.handshake_complete:
            self._early += data
            self.transport.pause_reading()
            return
        # In pieces: one read may hold thousands of frames, and all would be parsed before the first is counted.
        for begin in range(0, len(data), PARSE_CHUNK_BYTES):
            if self._flooded:
                return
            super().data_received(data[begin : begin + PARSE_CHUNK_BYTES])
        if self.conn.handshake_exc is not None and not self.close_sent:
            self._refuse_request()

    async def receive(self) -> Any:
        message = await super().receive()
        # One read may hold thousands of small messages; yield between them so that other connections run.
        if not self.queue.empty():
            await asyncio.sleep(0)
        return message

    def handle_text(self, event: Frame) -> None:
        if not self.close_sent or self._within_rate():
            super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        if not self.close_sent or self._within_rate():
            super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        if len(event.data) >= UNCOUNTED_FRAGMENT_BYTES or self._within_rate():
            super().handle_cont(event)

    def handle_ping(self) -> None:
        # Nothing else bounds pongs: they would pile up for a client that pings without reading.
        if self._within_rate() and self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_pong(self, event: Frame) -> None:
        if self._within_rate():
            super().handle_pong(event)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        # Uvicorn waits until the client has read everything that was sent, which may never happen.
        self.loop.call_later(CLOSE_GRACE_S, self.transport.abort)

    def _refuse_request(self) -> None:
        """Answer a request that cannot be parsed, and close: Uvicorn does not notice it and would wait for ever."""
        self.close_sent = self.handshake_complete = True
        written = b"".join(self.conn.data_to_send())
        unreadable = HttpRefusal(ErrorCode.BAD_REQUEST, "this cannot be read as a request for a socket")
        self.transport.write(written or unreadable.answer(request_id.choose(())))
        self.transport.close()

    def _within_rate(self) -> bool:
        if self._flooded:
            return False
        try:
            self._unseen_rate.count(time.monotonic())
        except TooFast as flood:
            self._flooded = True
            self._close_flooding(flood)
        return not self._flooded

    def _close_flooding(self, flood: TooFast) -> None:
        if self.close_sent or not self.writable.is_set():
            self.transport.abort()
            return
        self.transport.pause_reading()  # What still comes stays unread in the kernel.
        self.close_timeout = CLOSE_GRACE_S
        task = self.loop.create_task(self._send_too_fast(flood))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _send_too_fast(self, flood: TooFast) -> None:
        message = ErrorMessage(code=flood.code, message=str(flood), retryable=flood.retryable)
        await self.send({"type": "websocket.send", "text": message.model_dump_json(exclude_none=True)})
        await self.send({"type": "websocket.close", "code": flood.close_code, "reason": flood.code})


class CountedHttp(BoundedHttp):
    """BoundedHttp that tells ConnectionCount what has become of a new connection."""

    def __init__(
        self, count: ConnectionCount, connection_limit: ConnectionLimit, limits: HttpLimits, **uvicorn_arguments: Any
    ) -> None:
        super().__init__(connection_limit, limits, **uvicorn_arguments)
        self._count = count
        self._is_new, self._is_plain, self._is_moving = True, False, False

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        if self._count.is_draining:
            self.close_after_answer()
        if self._is_new and not self.parser.should_upgrade():
            self._forget()
            self._is_plain = True
            self._count.add_plain()
        if self._is_kept and not self._is_moving and self._count.claim_move(self.loop.time()):
            self._is_moving = True
            self.close_after_answer()

    @property
    def _is_kept(self) -> bool:
        """Whether it is a plain connection that stays open behind the answer to the request in work."""
        return self._is_plain and self.cycle is not None and self.cycle.keep_alive

    def close_after_answer(self) -> None:
        """Close after the answer to the request in work, if any, so that the next one goes to another worker."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def handle_websocket_upgrade(self) -> None:
        # Before it is counted as a socket: counted twice for a moment, it would draw a connection to another worker.
        self._forget()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    def _forget(self) -> None:
        """Count the connection no longer as what it was."""
        if self._is_new:
            self._count.remove_new()
        if self._is_plain:
            self._count.remove_plain(was_moved=self._is_moving)
        self._is_new = self._is_plain = self._is_moving = False

"""Uvicorn's HTTP protocol with limits on what a connection may cost before the application knows its client."""

from __future__ import annotations

import asyncio
from asyncio.transports import BaseTransport
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from config.settings import Settings
from logs import request_id
from server.connections.connection_limit import ConnectionLimit
from vocabulary.errors import ErrorCode
from web.refusal import HttpRefusal

MAX_HEAD_BYTES = 32 * 1024
"""Limit of the request line and the headers together."""
MAX_HEADER_LINES = 100
LINGERING_CLOSE_S = 1.0
"""Time in which a refused client that is still sending can read the answer."""
LINGERING_CLOSE_BYTES = 1 << 20
"""Bytes that such a client may still send."""
HTTP_VERSIONS = ("1.0", "1.1")
OVERLOADED_RETRY_MS = 2_000
_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of one worker. A body must bring `min_body_bytes_per_s` on average of every `timeout_s`."""

    timeout_s: float
    """Seconds for a complete head, and between two checks of a body's rate."""
    min_body_bytes_per_s: int
    max_connections: int
    """Connections of every kind, sockets included."""

    @classmethod
    def of(cls, settings: Settings) -> HttpLimits:
        everything = settings.max_connections + settings.max_http_connections
        return cls(settings.request_timeout_s, settings.min_body_bytes_per_s, everything)


class LingeringTransport:
    """Transport with another `close`, which first lets a client that is still sending read its answer."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self._transport = transport
        self.close = close

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class HoldingFlow(FlowControl):
    """Flow control that the application cannot resume while the next request waits in the protocol's buffer."""

    is_held = False

    def hold(self) -> None:
        self.is_held = True
        self.pause_reading()

    def release(self) -> None:
        self.is_held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        if not self.is_held:
            super().resume_reading()


class BoundedHttp(HttpToolsProtocol):
    """Feeds Uvicorn's parser one head at a time, and no byte beyond it before the request is answered.

    So the answers of pipelined requests keep their order, an upgrade comes after the answers before it, and pipelined
    requests wait as bytes. A chunked body is refused, so every body's length is known from its head.
    """

    def __init__(self, connection_limit: ConnectionLimit, limits: HttpLimits, **uvicorn_arguments: Any) -> None:
        super().__init__(**uvicorn_arguments)
        self._connection_limit = connection_limit
        self._limits = limits
        self._unparsed = bytearray()
        """Bytes of two reads at most: reading pauses while some wait here."""
        self._head_bytes = 0
        self._tail = b""
        """Last bytes of an incomplete head: the blank line that ends it may be split between two reads."""
        self._body_left = 0
        self._body_window = 0
        """Bytes of the body since the last check of its rate."""
        self._timer: asyncio.TimerHandle | None = None
        self._linger_left = LINGERING_CLOSE_BYTES
        self._has_ended = False

    # Called by Uvicorn's server and the transport.

    def connection_made(self, transport: BaseTransport) -> None:
        self._connection = cast(asyncio.Transport, transport)
        super().connection_made(self._connection)
        self.flow: HoldingFlow = HoldingFlow(self._connection)
        self._lingering = LingeringTransport(self._connection, self._close)
        self.transport = cast(asyncio.Transport, self._lingering)
        if self._connection_limit.admit(self):
            self._set_timer(self._limits.timeout_s, self._on_late_head)
        else:
            self._connection.write(self._error_answer(_overloaded("connection")))
            self._end(self._connection.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        self._lingering.close = self._connection.close  # Breaks a cycle: transport, bound method, protocol.
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._has_ended:
            self._discard(len(data))
            return
        self._unset_keepalive_if_required()
        self._unparsed += data
        self._parse_waiting()

    def evict(self) -> None:
        self._end(self._connection.close)

    # Called by the parser and the request cycle.

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= MAX_HEADER_LINES:
            raise HttpRefusal(ErrorCode.HEADERS_TOO_LARGE, f"a request may have {MAX_HEADER_LINES} header lines")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        length = self._checked_length()
        self._cancel_timer()
        self._head_bytes = 0
        self._tail = b""
        self._body_left = length
        self._connection_limit.head_complete(self)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_left -= len(body)
        self._body_window += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._cancel_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self._has_ended:
            return
        self.flow.release()
        super().on_response_complete()
        if self._body_left:  # Answered before the body came: it is not read.
            self._linger()
            return
        self._connection_limit.answered(self)
        if self._unparsed:
            self._unset_keepalive_if_required()
            self._parse_waiting()

    # From bytes to requests.

    def _parse_waiting(self) -> None:
        while self._unparsed and not self._has_ended:
            if not self._body_left and self._is_answering:
                self.flow.hold()
                return
            size = self._body_left or self._head_size()
            if not size:
                self._refuse(HttpRefusal(ErrorCode.HEADERS_TOO_LARGE, f"a head may have {MAX_HEAD_BYTES} bytes"))
                return
            piece = bytes(self._unparsed[:size])
            del self._unparsed[:size]
            self._feed(piece)
        if not self._has_ended and self._timer is None:
            self._time_the_rest()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _head_size(self) -> int:
        """Number of waiting bytes that belong to the present head; 0 when the head is too long."""
        room = self._unparsed[: MAX_HEAD_BYTES - self._head_bytes]
        end = (self._tail + room).find(_HEAD_END)
        return len(room) if end < 0 else end + len(_HEAD_END) - len(self._tail)

    def _feed(self, piece: bytes) -> None:
        if not self._body_left:
            self._head_bytes += len(piece)
            self._tail = (self._tail + piece)[1 - len(_HEAD_END) :]
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self._upgrade()
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, HttpRefusal) else _unreadable("this cannot be read as HTTP"))

    def _checked_length(self) -> int:
        """Length of the body in bytes. Raises HttpRefusal for a head that two parsers could read differently."""
        if self.parser.get_http_version() not in HTTP_VERSIONS:
            raise _unreadable("send HTTP/1.1")
        names = [name for name, _ in self.headers]
        if names.count(b"host") > 1:
            raise _unreadable("a request has one Host")
        if b"transfer-encoding" in names:
            raise HttpRefusal(ErrorCode.LENGTH_REQUIRED, "send a Content-Length")
        length = int(self.headers[names.index(b"content-length")][1]) if b"content-length" in names else 0
        if length and self.parser.should_upgrade():
            raise _unreadable("a request that upgrades has no body")
        return length

    def _upgrade(self) -> None:
        if not self._should_upgrade():  # Answered as a plain request, and the last one: the parser stops here.
            self.cycle.keep_alive = False
            return
        if len(self.connections) > self._limits.max_connections:
            self._refuse(_overloaded("socket"))
            return
        self._end()
        self.transport = self._connection
        self._lingering.close = self._connection.close
        self.handle_websocket_upgrade()
        socket: Any = self._connection.get_protocol()
        if socket is not self and self._unparsed and not self._connection.is_closing():
            socket.data_received(bytes(self._unparsed))

    # Time.

    def _time_the_rest(self) -> None:
        if self._body_left:
            self._body_window = 0
            self._set_timer(self._limits.timeout_s, self._check_body_rate)
        elif self._head_bytes:
            self._connection_limit.head_began(self)
            self._set_timer(self._limits.timeout_s, self._on_late_head)

    def _set_timer(self, seconds: float, on_timeout: Callable[[], None]) -> None:
        self._cancel_timer()
        self._timer = self.loop.call_later(seconds, on_timeout)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_late_head(self) -> None:
        if self._head_bytes:
            self._refuse(HttpRefusal(ErrorCode.REQUEST_TIMEOUT, "the request took too long to arrive"))
        else:
            self._end(self._connection.close)

    def _check_body_rate(self) -> None:
        """Refuse a body that is too slow, unless it is the application that does not read."""
        self._timer = None
        enough = self._limits.min_body_bytes_per_s * self._limits.timeout_s
        if self.flow.read_paused or self._body_window >= enough:
            self._time_the_rest()
        else:
            self._refuse(HttpRefusal(ErrorCode.REQUEST_TIMEOUT, "the body came too slowly"))

    # The end.

    def _refuse(self, refusal: HttpRefusal) -> None:
        if self._is_answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self._end(self._connection.abort)
                return
        self._connection.write(self._error_answer(refusal))
        self._linger()

    def _error_answer(self, refusal: HttpRefusal) -> bytes:
        # Imported late: Gunicorn loads this module before it sets PROMETHEUS_MULTIPROC_DIR.
        from monitoring import metrics

        metrics.refused_requests.labels(status=refusal.status).inc()
        return refusal.answer(request_id.choose(self.headers or ()))

    def _close(self) -> None:
        """Replaces the transport's close: with bytes unread, that would make the system drop the answer."""
        if self._has_ended:
            return
        if self._body_left or self._unparsed:
            self._linger()
        else:
            self._end(self._connection.close)

    def _linger(self) -> None:
        if self._connection.is_closing():
            self._end()
            return
        self._end()
        self._unparsed.clear()
        if self._connection.can_write_eof():
            self._connection.write_eof()
        self.flow.release()
        self._set_timer(LINGERING_CLOSE_S, self._connection.abort)

    def _discard(self, received: int) -> None:
        self._linger_left -= received
        if self._linger_left < 0:
            self._connection.abort()

    def _end(self, close: Callable[[], None] | None = None) -> None:
        """Stop parsing, the timer and the counting, then call `close`."""
        self._has_ended = True
        self._cancel_timer()
        self._unset_keepalive_if_required()
        self._connection_limit.remove(self)
        if close is not None:
            close()


def _unreadable(message: str) -> HttpRefusal:
    return HttpRefusal(ErrorCode.BAD_REQUEST, message)


def _overloaded(what: str) -> HttpRefusal:
    message = f"this worker has no place for another {what}"
    return HttpRefusal(ErrorCode.OVERLOADED, message, retry_after_ms=OVERLOADED_RETRY_MS)

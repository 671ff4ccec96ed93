"""A WebSocket client for load: one asyncio protocol per socket, with frames encoded before the run."""

from __future__ import annotations

import asyncio
import base64
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Self, cast
from urllib.parse import urlsplit

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
NORMAL, NO_CODE, ABNORMAL = 1000, 1005, 1006
CONNECT_TIMEOUT_S = 30.0
_CLOSE_TIMEOUT_S = 5.0
_NO_MASK = b"\0\0\0\0"
_HEAD_LIMIT = 16 * 1024

OnText = Callable[[bytes], None]


class HandshakeRefused(Exception):
    """The server answered the handshake with HTTP `status`, or closed without an answer (0)."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        return cls(parts.hostname, parts.port)


def client_frame(opcode: int, payload: bytes) -> bytes:
    """Encode a whole message; the mask of zeros leaves the payload unchanged, at no cost."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, size)
    return head + _NO_MASK + payload


async def connect(address: Address, path: str, on_text: OnText, timeout_s: float = CONNECT_TIMEOUT_S) -> LoadSocket:
    """Open a socket. Raises HandshakeRefused, OSError or TimeoutError, and then leaves no connection."""
    loop = asyncio.get_running_loop()
    socket = LoadSocket(address, path, on_text)
    try:
        async with asyncio.timeout(timeout_s):
            await loop.create_connection(lambda: socket, address.host, address.port)
            await socket.opened
    except BaseException:
        socket.abort()
        raise
    return socket


class LoadSocket(asyncio.Protocol):
    """One connection; `on_text` gets each text message, the future `closed` the close code at the end."""

    def __init__(self, address: Address, path: str, on_text: OnText) -> None:
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[int] = loop.create_future()
        self._request = _handshake(address, path)
        self._on_text = on_text
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._close_code = ABNORMAL
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self.opened.done() and not self._finish_handshake():
            return
        for opcode, payload in self._messages():
            self._receive(opcode, payload)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.opened.done():
            self.opened.set_exception(HandshakeRefused(0))
        if not self.closed.done():
            self.closed.set_result(self._close_code)

    def write(self, frame: bytes) -> None:
        """Send a frame made by `client_frame`; does nothing once the socket is closing."""
        if self._transport is not None and not self._closing:
            self._transport.write(frame)

    def say_goodbye(self) -> None:
        """Send a close frame; the server ends the connection."""
        self.write(client_frame(CLOSE, struct.pack("!H", NORMAL)))
        self._closing = True

    async def close(self) -> int:
        """Send a close frame and wait for the end; returns the close code."""
        self.say_goodbye()
        with suppress(TimeoutError):
            return await asyncio.wait_for(asyncio.shield(self.closed), _CLOSE_TIMEOUT_S)
        self.abort()
        return ABNORMAL

    def abort(self) -> None:
        """Drop the connection without a close frame."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()
        if self.opened.done():
            self.opened.exception()  # Marks it as retrieved: asyncio need not warn.
        else:
            self.opened.cancel()

    def _finish_handshake(self) -> bool:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            if len(head) > _HEAD_LIMIT:
                self._refuse(0)
            return False
        status = head.split(b" ", 2)[1]
        if status != b"101":
            self._refuse(int(status) if status.isdigit() else 0)
            return False
        self._buffer = rest
        self.opened.set_result(None)
        return True

    def _refuse(self, status: int) -> None:
        self.opened.set_exception(HandshakeRefused(status))
        assert self._transport is not None
        self._transport.abort()

    def _messages(self) -> Iterator[tuple[int, bytes]]:
        """Opcode and payload of each whole message; the server sends none in parts and none masked."""
        buffer = self._buffer
        begin = 0
        while (bounds := _payload_bounds(buffer, begin)) is not None:
            start, end = bounds
            yield buffer[begin] & 0x0F, bytes(buffer[start:end])
            begin = end
        del buffer[:begin]

    def _receive(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self._on_text(payload)
        elif opcode == PING:
            self.write(client_frame(PONG, payload))
        elif opcode == CLOSE:
            self._close_code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else NO_CODE
            self.write(client_frame(CLOSE, payload[:2]))
            self._closing = True
            assert self._transport is not None
            self._transport.close()


def _handshake(address: Address, path: str) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: {address.host}:{address.port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def _payload_bounds(buffer: bytearray, begin: int) -> tuple[int, int] | None:
    """Start and end of the payload of the message at `begin`; None while it is incomplete."""
    have = len(buffer)
    if have < begin + 2:
        return None
    size, start = buffer[begin + 1] & 0x7F, begin + 2
    if size >= 126:
        wide = 2 if size == 126 else 8
        start += wide
        if have < start:
            return None
        size = int.from_bytes(buffer[start - wide : start])
    return (start, start + size) if have >= start + size else None

"""A client's end of a WebSocket without any library, for clients that break the protocol."""

from __future__ import annotations

import base64
import os
import socket

TEXT, CLOSE, PING = 0x1, 0x8, 0x9


def raw_socket(base_url: str, token: str, receive_buffer: int | None = None) -> socket.socket:
    """An open socket, not blocking. With a small `receive_buffer` the kernel takes next to nothing from the server."""
    host, port = base_url.removeprefix("http://").split(":")
    raw = socket.socket()
    if receive_buffer is not None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    raw.connect((host, int(port)))
    raw.sendall(upgrade_request(base_url, token))
    assert raw.recv(12) == b"HTTP/1.1 101"
    raw.setblocking(False)
    return raw


def upgrade_request(base_url: str, token: str, *headers: str) -> bytes:
    lines = (
        f"GET /ws/auth/process-image/{token}/ HTTP/1.1",
        f"Host: {base_url.removeprefix('http://')}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
        *headers,
    )
    return "\r\n".join([*lines, "", ""]).encode()


def client_frame(opcode: int, payload: bytes) -> bytes:
    """A frame of up to 125 bytes, masked with zeros."""
    return bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload

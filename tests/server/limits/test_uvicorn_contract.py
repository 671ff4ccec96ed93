"""The members of Uvicorn and websockets that server.connections relies on, as they were read.

Whoever upgrades reads the changed ones again, sees that its modules still hold, and puts the new digest here.
"""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.server import ServerProtocol

READ: list[tuple[type[Any], str, str]] = [
    (HttpToolsProtocol, "__init__", "4f0899941034"),
    (HttpToolsProtocol, "connection_made", "6efb565ff3d3"),
    (HttpToolsProtocol, "connection_lost", "c91a4c9bf2e2"),
    (HttpToolsProtocol, "eof_received", "5652627579a0"),
    (HttpToolsProtocol, "data_received", "010a7ae59a5d"),
    (HttpToolsProtocol, "on_message_begin", "96d377fdc7c2"),
    (HttpToolsProtocol, "on_url", "37be44e962b0"),
    (HttpToolsProtocol, "on_header", "65d62c044f61"),
    (HttpToolsProtocol, "on_headers_complete", "1ea8589acfad"),
    (HttpToolsProtocol, "on_body", "dba9c32aeba3"),
    (HttpToolsProtocol, "on_message_complete", "1fbad42dc31f"),
    (HttpToolsProtocol, "on_response_complete", "64e254f28e38"),
    (HttpToolsProtocol, "handle_websocket_upgrade", "179c4f769386"),
    (HttpToolsProtocol, "shutdown", "d7351fa33f00"),
    (HttpToolsProtocol, "timeout_keep_alive_handler", "8b53bf5f2e20"),
    (HttpToolsProtocol, "_should_upgrade", "8fcad1ab8e09"),
    (HttpToolsProtocol, "_unset_keepalive_if_required", "00a6a4e47214"),
    (RequestResponseCycle, "__init__", "4d2f220910c3"),
    (RequestResponseCycle, "run_asgi", "0f33f2449a44"),
    (RequestResponseCycle, "send", "abdd8601b326"),
    (RequestResponseCycle, "receive", "8124ae006be7"),
    (FlowControl, "__init__", "0152d94a0407"),
    (FlowControl, "pause_reading", "7c27388bb984"),
    (FlowControl, "resume_reading", "a0429d30857e"),
    (FlowControl, "pause_writing", "93d4a08a9f2d"),
    (FlowControl, "resume_writing", "a343e8b0baf0"),
    (WebSocketsSansIOProtocol, "__init__", "631dcd744eab"),
    (WebSocketsSansIOProtocol, "connection_made", "f533ec93747c"),
    (WebSocketsSansIOProtocol, "connection_lost", "dd116afc4d80"),
    (WebSocketsSansIOProtocol, "shutdown", "e8ace796ada6"),
    (WebSocketsSansIOProtocol, "data_received", "c89d394077d8"),
    (WebSocketsSansIOProtocol, "handle_events", "b2c9351a5d13"),
    (WebSocketsSansIOProtocol, "handle_connect", "fc648c2161ff"),
    (WebSocketsSansIOProtocol, "handle_cont", "d96fe1479da6"),
    (WebSocketsSansIOProtocol, "handle_text", "6ae523180cf0"),
    (WebSocketsSansIOProtocol, "handle_bytes", "2b22b21bf8fe"),
    (WebSocketsSansIOProtocol, "send_receive_event_to_app", "a2b10de91477"),
    (WebSocketsSansIOProtocol, "handle_ping", "41bcf345d372"),
    (WebSocketsSansIOProtocol, "handle_pong", "b20c68cc7e4f"),
    (WebSocketsSansIOProtocol, "handle_close", "62fd412b1f5b"),
    (WebSocketsSansIOProtocol, "keepalive_timeout", "8e1ceb6ec446"),
    (WebSocketsSansIOProtocol, "run_asgi", "662375aa38d9"),
    (WebSocketsSansIOProtocol, "send", "d4919ed760ce"),
    (WebSocketsSansIOProtocol, "receive", "1dc0e7153900"),
    (ServerProtocol, "accept", "f2f96c48162d"),
    (ServerProtocol, "reject", "9d2df62f1952"),
    (ServerProtocol, "send_response", "0676fec30e39"),
    (ServerProtocol, "parse", "8c4d10340de4"),
]


def digest(owner: type[Any], member: str) -> str:
    return hashlib.sha256(inspect.getsource(getattr(owner, member)).encode()).hexdigest()[:12]


@pytest.mark.parametrize(
    ("owner", "member", "read"), READ, ids=[f"{owner.__name__}.{member}" for owner, member, _ in READ]
)
def test_what_we_rely_on_is_what_was_read(owner: type[Any], member: str, read: str) -> None:
    assert hasattr(owner, member), f"{owner.__name__}.{member} is gone, and server/ relies on it"
    found = digest(owner, member)
    assert found == read, f"{owner.__name__}.{member} has changed: read it again, then put {found!r} here"

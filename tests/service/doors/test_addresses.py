"""Failures count for the client's own address, also behind a proxy, on whichever worker a socket ends up."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

from websockets.asyncio.client import connect as connect_to
from websockets.exceptions import ConnectionClosedError

from testkit.clips import encode_jpeg, grace_hopper
from testkit.service import LiveService, running_service
from testkit.stream_client import Message

STRANGER = encode_jpeg(grace_hopper())
ONE_FAILURE = {"FACE_ATTEMPTS_ADDRESS_LIMIT": "1", "FACE_NO_MATCH_FRAMES": "1"}
SOCKETS = 6
"""Enough that two workers share them out."""


async def last_message(service: LiveService, forwarded_for: str) -> Message:
    """How an identification of a stranger ends whose proxy says it is for an address."""
    async with service.client() as client:
        session = await client.create_session("identification", liveness="none")
    headers = {"X-Forwarded-For": forwarded_for}
    async with connect_to(session.websocket_url, additional_headers=headers, proxy=None, open_timeout=30) as socket:
        greeting: Message = json.loads(await socket.recv())
        if greeting["type"] == "connection_established":
            await socket.send(STRANGER)
        answers = [greeting]
        with contextlib.suppress(ConnectionClosedError):  # 4429
            answers += [json.loads(text) async for text in socket]
    return answers[-1]


async def last_messages(service: LiveService) -> list[Message]:
    """Of sockets from as many addresses, side by side."""
    return await asyncio.gather(*(last_message(service, f"198.51.100.{number}") for number in range(SOCKETS)))


async def test_a_proxy_on_this_machine_is_believed(tmp_path: Path) -> None:
    with running_service(tmp_path, workers=2, pool_size=1, environment=ONE_FAILURE) as service:
        first = await last_messages(service)
        again = await last_messages(service)
    assert [message["reason"] for message in first] == ["no_match"] * SOCKETS
    assert [message.get("code") for message in again] == ["attempts_exceeded"] * SOCKETS


async def test_another_that_says_so_is_not(tmp_path: Path) -> None:
    """Else each attempt could name an address of its own, or somebody else's."""
    untrusted = {**ONE_FAILURE, "FORWARDED_ALLOW_IPS": "192.0.2.1"}
    with running_service(tmp_path, workers=1, pool_size=1, environment=untrusted) as service:
        told = [await last_message(service, "198.51.100.1") for _ in range(2)]
    assert [message["reason"] for message in told] == ["no_match"] * 2

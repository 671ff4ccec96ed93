"""A small client of the service: opens a session over HTTP, plays frames over its WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import urljoin

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from testkit import loopback

Message = dict[str, Any]
"""One JSON object from the server; `type` names its kind."""

SessionKind = Literal["enrollment", "authentication", "identification"]
Liveness = Literal["none", "passive", "active", "strict"]

LONGEST_PLAY_S = 180.0
"""More than any session lasts, which the service ends itself after a minute, on a busy machine too."""
OVERLOADED = 1013
_ANSWERS = frozenset({"frame_processed", "error"})


class ServiceError(Exception):
    """The service refused a request: `status` of HTTP, `code` and `message` of its answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class CreatedSession:
    id: str
    token: str
    websocket_url: str
    """Absolute, whatever the service answered."""
    expires_at: str
    status: str
    challenge: Message | None


@dataclass(slots=True)
class StreamResult:
    messages: list[Message] = field(default_factory=list)
    """All messages, in order."""
    completed: Message | None = None
    """The message with the decision."""
    close_code: int | None = None
    """The server's close code, of the last connection; None when the client closed first."""
    sent: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    """Milliseconds from sending a frame to its answer, for answered frames."""


class ServiceClient:
    """Use as an async context manager, or call `close()`. Raises ServiceError for an error answer."""

    def __init__(self, base_url: str, api_key: str, *, timeout_s: float = 10.0) -> None:
        self._base_url = base_url.rstrip("/") + "/"
        self._http = loopback.client(
            base_url=self._base_url,
            headers={"authorization": f"Bearer {api_key}"},
            timeout=timeout_s,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def create_session(
        self,
        kind: SessionKind,
        subject_id: str | None = None,
        liveness: Liveness = "passive",
        *,
        target_samples: int | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> CreatedSession:
        fields = {
            "kind": kind,
            "subject_id": subject_id,
            "liveness": liveness,
            "target_samples": target_samples,
            "metadata": metadata,
        }
        answer = await self._request("POST", "api/v1/sessions/", {k: v for k, v in fields.items() if v is not None})
        return CreatedSession(
            id=answer["id"],
            token=answer["token"],
            websocket_url=websocket_address(self._base_url, answer["websocket_url"]),
            expires_at=answer["expires_at"],
            status=answer["status"],
            challenge=answer.get("challenge"),
        )

    async def session(self, session_id: str) -> Message:
        """Read a session: its state and, once decided, its result."""
        return await self._request("GET", f"api/v1/sessions/{session_id}/")

    async def _request(self, method: str, path: str, body: Message | None = None) -> Message:
        response = await self._http.request(method, path, json=body)
        if response.is_success:
            answer: Message = response.json()
            return answer
        raise _service_error(response)


def _service_error(response: httpx.Response) -> ServiceError:
    try:
        error = response.json()["error"]
        return ServiceError(response.status_code, error["code"], error["message"])
    except (ValueError, KeyError, TypeError):
        return ServiceError(response.status_code, "unknown", response.text[:200])


def websocket_address(base_url: str, websocket_url: str) -> str:
    """`websocket_url`, which may be a path only, as a ws:// or wss:// address on the same host as `base_url`."""
    address = urljoin(base_url, websocket_url)
    return "ws" + address.removeprefix("http") if address.startswith("http") else address


async def play(
    websocket_url: str,
    frames: Iterable[bytes],
    *,
    fps: float | None = None,
    on_message: Callable[[Message], None] | None = None,
    timeout_s: float = LONGEST_PLAY_S,
    linger_s: float = 2.0,
) -> StreamResult:
    """Send encoded images until the server decides or closes, or there are no more.

    With `fps` None each frame waits for the answer to the one before; else frames leave at that
    rate, late ones without catching up. After the last frame or the decision, the server has
    `linger_s` to send more. `frames` is advanced on the event loop: encode them beforehand for load.
    After close code 1013 (try again later) it waits as long as the server says, reconnects and sends the
    remaining frames; `messages` then has those of all connections.
    Raises TimeoutError when all of it takes longer than `timeout_s`, OSError or
    websockets.InvalidHandshake when no connection is established, and what `on_message` raises.
    """
    result, left = StreamResult(), iter(frames)
    async with asyncio.timeout(timeout_s):
        while True:
            result.close_code = None
            async with connect(websocket_url, compression=None, proxy=None, open_timeout=timeout_s) as socket:
                await _play_once(_Stream(socket, on_message, result), left, fps, linger_s)
            wait_ms = _told_to_wait_ms(result)
            if wait_ms is None:
                return result
            await asyncio.sleep(wait_ms / 1000)


async def _play_once(stream: _Stream, frames: Iterator[bytes], fps: float | None, linger_s: float) -> None:
    reader = asyncio.create_task(stream.read())
    try:
        await stream.send(frames, fps)
        await stream.settle(reader, linger_s)
    finally:
        reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reader


def _told_to_wait_ms(result: StreamResult) -> int | None:
    if result.completed is not None or result.close_code != OVERLOADED or not result.messages:
        return None
    wait_ms: int | None = result.messages[-1].get("retry_after_ms")
    return wait_ms


class _Stream:
    """One connection: a reader that records everything and a sender that stops at the decision."""

    def __init__(
        self, socket: ClientConnection, on_message: Callable[[Message], None] | None, result: StreamResult
    ) -> None:
        self.result = result
        self._sent_here = 0
        self._socket = socket
        self._on_message = on_message
        self._greeted = asyncio.Event()
        self._answered = asyncio.Event()
        self._over = asyncio.Event()
        self._sent_at: dict[int, float] = {}

    async def read(self) -> None:
        """Record messages until the server closes."""
        try:
            while True:
                self._receive(json.loads(await self._socket.recv()))
        except ConnectionClosed as closed:
            if closed.rcvd is not None and closed.rcvd_then_sent:
                self.result.close_code = closed.rcvd.code
            elif closed.rcvd is None:
                self.result.close_code = 1006
        finally:
            self._greeted.set()
            self._answered.set()
            self._over.set()

    async def send(self, frames: Iterable[bytes], fps: float | None) -> None:
        await self._greeted.wait()
        due = time.monotonic()
        with contextlib.suppress(ConnectionClosed):
            for frame in frames:
                if self._over.is_set():
                    return
                self._answered.clear()
                self.result.sent += 1
                self._sent_here += 1
                self._sent_at[self._sent_here] = time.monotonic()
                await self._socket.send(frame)
                if fps is None:
                    await self._answered.wait()
                else:
                    due = max(due + 1 / fps, time.monotonic())
                    await self._over_within(due - time.monotonic())

    async def settle(self, reader: asyncio.Task[None], linger_s: float) -> None:
        """Wait for the decision, then for the server to close; raises what the reader raised."""
        await self._over_within(linger_s)
        if self.result.completed is not None:
            await asyncio.wait({reader}, timeout=linger_s)
        if reader.done():
            reader.result()

    async def _over_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)

    def _receive(self, message: Message) -> None:
        self.result.messages.append(message)
        kind = str(message.get("type"))
        if kind in _ANSWERS:
            self._note_latency(message)
            self._answered.set()
        elif kind.endswith("_complete"):
            self.result.completed = message
            self._over.set()
            self._answered.set()
        self._greeted.set()
        if self._on_message is not None:
            self._on_message(message)

    def _note_latency(self, message: Message) -> None:
        sent_at = self._sent_at.pop(message.get("seq", 0), None)
        if sent_at is not None:
            self.result.latencies_ms.append((time.monotonic() - sent_at) * 1000)

"""Inbound side of one connection: turns messages into events, and limits their rate and size."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from vocabulary.errors import ErrorCode
from wire.base64_pictures import decode_picture
from wire.errors import InvalidMessage, TooFast, UnusableFrame, WireError
from wire.messages import CancelMessage, ClientMessage, FrameMessage, PingMessage

MAX_PROBLEM_LENGTH = 200
FLOOD_PATIENCE_S = 5.0
_CLIENT_MESSAGE: TypeAdapter[ClientMessage] = TypeAdapter(ClientMessage)


@dataclass(frozen=True, slots=True)
class Frame:
    """An encoded picture as received; `received_at`: seconds on the caller's monotonic clock."""

    seq: int
    data: bytes
    received_at: float


@dataclass(frozen=True, slots=True)
class BadFrame:
    """A frame refused without analysis; its error is sent in the order of the frames."""

    seq: int
    error: WireError


@dataclass(frozen=True, slots=True)
class Ping:
    pass


@dataclass(frozen=True, slots=True)
class Cancel:
    pass


Event = Frame | BadFrame | Ping | Cancel


class RateLimit:
    """Leaky bucket that drains `per_second` and holds the messages of `patience_s`. `count` raises TooFast."""

    def __init__(self, per_second: float, patience_s: float = FLOOD_PATIENCE_S) -> None:
        self._per_second = per_second
        self._capacity = per_second * patience_s
        self._level = 0.0
        self._last: float | None = None

    def count(self, now: float) -> None:
        if self._last is not None:
            self._level = max(0.0, self._level - (now - self._last) * self._per_second)
        self._last = now
        self._level += 1
        if self._level > self._capacity:
            raise TooFast(f"more than {self._per_second:g} messages a second for too long")


class WireSession:
    """Parser of one client's messages.

    Raises InvalidMessage for text outside the protocol and TooFast for a flood; both end the connection. An unusable
    frame is returned as a BadFrame.
    """

    def __init__(self, max_frame_bytes: int, rate: RateLimit) -> None:
        self._max_frame_bytes = max_frame_bytes
        self._rate = rate
        self._arrived = 0

    def receive_bytes(self, data: bytes, now: float) -> Event:
        self._rate.count(now)
        return self._frame(data, None, now)

    def receive_text(self, text: str, now: float) -> Event:
        self._rate.count(now)
        try:
            message = _CLIENT_MESSAGE.validate_json(text)
        except ValidationError as error:
            raise InvalidMessage(_first_problem(error)) from error
        match message:
            case PingMessage():
                return Ping()
            case CancelMessage():
                return Cancel()
            case FrameMessage():
                return self._text_frame(message, now)

    def _text_frame(self, message: FrameMessage, now: float) -> Event:
        try:
            data = decode_picture(message.image)
        except ValueError:
            problem = UnusableFrame("image is not valid base64", ErrorCode.INVALID_IMAGE)
            return BadFrame(self._number(message.seq), problem)
        return self._frame(data, message.seq, now)

    def _number(self, seq: int | None) -> int:
        self._arrived += 1
        return self._arrived if seq is None else seq

    def _frame(self, data: bytes, seq: int | None, now: float) -> Event:
        number = self._number(seq)
        if len(data) > self._max_frame_bytes:
            problem = f"the frame has {len(data)} bytes; {self._max_frame_bytes} are allowed"
            return BadFrame(number, UnusableFrame(problem, ErrorCode.IMAGE_TOO_LARGE))
        return Frame(number, data, now)


def _first_problem(error: ValidationError) -> str:
    """Message of the first error, shortened: it may quote the client, which may have sent megabytes."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return (f"{place}: {first['msg']}" if place else first["msg"])[:MAX_PROBLEM_LENGTH]

"""The AsyncAPI document of the socket, generated from the messages."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, TypeAdapter

from vocabulary.errors import CLOSE_CODES, SOCKET, OnSocket
from vocabulary.version import VERSION
from wire.messages import (
    CancelMessage,
    ClientMessage,
    ConnectionEstablished,
    ErrorMessage,
    FrameMessage,
    FrameProcessed,
    PingMessage,
    Pong,
    ServerDraining,
    ServerMessage,
    SessionComplete,
)

CLIENT: tuple[type[BaseModel], ...] = (FrameMessage, PingMessage, CancelMessage)
SERVER: tuple[type[BaseModel], ...] = (
    ConnectionEstablished,
    FrameProcessed,
    SessionComplete,
    ErrorMessage,
    Pong,
    ServerDraining,
)
_TEMPLATE = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True)
class SocketServer:
    """A server as AsyncAPI names it: `host` with its port, `protocol` ws or wss, `pathname` before every address."""

    host: str
    protocol: str
    pathname: str


def document(server: SocketServer | None = None) -> dict[str, Any]:
    """The document; `server` is where the sockets are, if that is known."""
    every_message: TypeAdapter[Any] = TypeAdapter(ClientMessage | ServerMessage)
    schemas = every_message.json_schema(ref_template=_TEMPLATE, mode="serialization")
    messages: dict[str, Any] = {model.__name__: _message(model) for model in (*CLIENT, *SERVER)}
    messages["BinaryFrame"] = {"contentType": "image/*", "payload": {"type": "string", "format": "binary"}}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Face recognition service, socket", "version": VERSION},
        **({} if server is None else {"servers": {"public": asdict(server)}}),
        "channels": {
            "session": {
                "address": "/ws/auth/process-image/{token}/",
                "parameters": {"token": {"description": "The session's token, or test_... for a sandbox."}},
                "messages": messages,
                "x-close-codes": {str(code): meaning for code, meaning in CLOSE_CODES.items()},
                "x-error-codes": {str(code): _error(told) for code, told in SOCKET.items()},
            }
        },
        "operations": {
            "client": _operation("receive", ["BinaryFrame", *(model.__name__ for model in CLIENT)]),
            "server": _operation("send", [model.__name__ for model in SERVER]),
        },
        "components": {"schemas": schemas["$defs"]},
    }


def _error(told: OnSocket) -> dict[str, Any]:
    return {"close_code": told.close_code, "retryable": told.retryable, "meaning": told.meaning}


def _message(model: type[BaseModel]) -> dict[str, Any]:
    return {"contentType": "application/json", "payload": {"$ref": _TEMPLATE.format(model=model.__name__)}}


def _operation(action: str, names: list[str]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": "#/channels/session"},
        "messages": [{"$ref": f"#/channels/session/messages/{name}"} for name in names],
    }

"""Whether a running web service says that it is ready."""

from __future__ import annotations

import http.client
import json
import socket

from config.settings import Settings

_TIMEOUT_S = 10.0
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - addresses to ask at, none to serve on


def fault(settings: Settings) -> str | None:
    """What keeps it from being ready; None if it is."""
    try:
        status, report = _ask(settings.bind)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"{settings.bind} does not answer: {error}"
    if status == 200:
        return None
    components = report.get("components", {})
    wrong = ", ".join(f"{name} {state}" for name, state in components.items() if state not in ("ok", "one_network"))
    return f"/api/ready/ answers {status}: {wrong or 'no component is named'}"


def _ask(bind: str) -> tuple[int, dict[str, dict[str, str]]]:
    connection = http.client.HTTPConnection("localhost", timeout=_TIMEOUT_S)
    connection.sock = _connect(bind)
    try:
        connection.request("GET", "/api/ready/")
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _connect(bind: str) -> socket.socket:
    if bind.startswith("unix:"):
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(_TIMEOUT_S)
        connected.connect(bind.removeprefix("unix:"))
        return connected
    host, _, port = bind.rpartition(":")
    host = host.strip("[]")
    return socket.create_connection((_ANY.get(host, host), int(port)), _TIMEOUT_S)

"""What the tests of the page share: a fake of the service's socket, and the steps of a person."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from testkit.patience import PATIENCE_S

NAME = "Alice"
SOCKET = "/ws/auth/process-image/token/"
PING = '{"type":"ping"}'
FACE = {"x": 0.3, "y": 0.2, "width": 0.4, "height": 0.5}
SESSIONS = "**/demo/sessions/"


class FakeSocket:
    """Answers the page's sockets in place of the server; knows only the session `token`.

    It answers pings until it is `silent`. `pictures` are the frames it has received, `texts` all else but pings.
    """

    def __init__(self, page: Page) -> None:
        self.silent = False
        self.pictures: list[bytes] = []
        self.texts: list[str] = []
        self.connections: list[WebSocketRoute] = []
        self.established: dict[str, Any] = {"pacing": {"target_fps": 20, "max_in_flight": 2}}
        page.route(SESSIONS, lambda route: route.fulfill(status=201, json={"websocket_url": SOCKET}))
        page.route_web_socket(f"**{SOCKET}", self._accept)

    def _accept(self, socket: WebSocketRoute) -> None:
        self.connections.append(socket)
        socket.on_message(self._receive)
        if not self.silent:
            self.send(type="connection_established", **self.established)

    def _receive(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.pictures.append(message)
        elif message != PING:
            self.texts.append(message)
        elif not self.silent:
            self.send(type="pong")

    def send(self, **message: Any) -> None:
        self.connections[-1].send(json.dumps(message))

    def answer(
        self, seq: int, code: str, *, face: bool = True, samples: dict[str, int] | None = None, **liveness: Any
    ) -> None:
        """Answer frame `seq` with guidance and, if any is given, fields of `liveness`."""
        self.send(
            type="frame_processed",
            seq=seq,
            face=FACE if face else None,
            samples=samples,
            liveness={"steps_done": 0, "steps_total": 1, "step": None, "instruction": None, **liveness},
            guidance={"code": code, "message": "raw words of the server"},
        )

    def step(self, seq: int, action: str, **liveness: Any) -> None:
        """Answer frame `seq` with a step of a challenge."""
        self.answer(seq, action, step=action, instruction=action, **liveness)

    def complete(self, kind: str, *, success: bool, reason: str | None = None, **fields: Any) -> None:
        self.send(
            type=f"{kind}_complete",
            success=success,
            subject_id="alice" if success else None,
            liveness="passed" if success else "failed",
            reason=reason,
            decision_token="token-of-the-decision",
            **fields,
        )

    def close(self, code: int) -> None:
        self.connections[-1].close(code=code)


def module(page: Page, name: str) -> str:
    """The address of one of the scripts that the page has loaded. Call before its clock is replaced."""
    loaded: list[str] = page.evaluate("performance.getEntriesByType('resource').map(({name}) => name)")
    return next(address for address in loaded if f"/{name}." in address)


def headline(page: Page) -> Locator:
    """The words over the picture."""
    return page.locator("#headline")


def outcome(page: Page) -> Locator:
    """All words of the last step."""
    return page.locator("#result .words")


def press(page: Page, button: str) -> None:
    page.get_by_role("button", name=button).click()


def begin(page: Page, button: str, name: str = NAME) -> None:
    """Press one of the three choices, and agree if it is asked."""
    page.get_by_label("Your name").fill(name)
    press(page, button)
    agree = page.get_by_role("button", name="Agree and start the camera")
    if agree.is_visible():
        agree.click()


def until(page: Page, condition: Callable[[], bool]) -> None:
    for _ in range(round(PATIENCE_S * 20)):
        if condition():
            return
        page.wait_for_timeout(50)
    pytest.fail(f"it did not happen within {PATIENCE_S:g} s")


def streaming(page: Page, socket: FakeSocket, button: str = "Enrol my face") -> None:
    """Begin, and wait until two frames wait for their answers."""
    begin(page, button)
    until(page, lambda: len(socket.pictures) == 2)


def expect_outcome(page: Page, *sentences: str, seconds: float = 10) -> None:
    for sentence in sentences:
        expect(outcome(page)).to_contain_text(sentence, timeout=seconds * 1000)


def set_hidden(page: Page, hidden: bool) -> None:
    """Make the page believe that its tab went to the back, or came to the front again."""
    page.evaluate(
        "hidden => { Object.defineProperty(document, 'hidden', {configurable: true, value: hidden});"
        "document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )

"""What the master tells whoever started it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.notifying import Notifier, Receiver, Serving

STARTING = Serving(ready=0, wanted=2, lively=0, enough=False)
HALF = Serving(ready=1, wanted=2, lively=1, enough=False)
READY = Serving(ready=2, wanted=2, lively=2, enough=True)
HUNG = Serving(ready=2, wanted=2, lively=0, enough=True)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)
        yield receiver


@pytest.fixture
def notifier(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> Notifier:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    notifier = Notifier()
    notifier.take_over()
    return notifier


def told(manager: socket.socket) -> list[str]:
    messages = []
    while True:
        try:
            messages.append(manager.recv(4096).decode())
        except BlockingIOError:
            return messages


def test_gunicorn_does_not_see_the_socket(notifier: Notifier) -> None:
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & os.environ.keys()


def test_it_is_ready_once_when_every_worker_is(notifier: Notifier, manager: socket.socket) -> None:
    for serving in (STARTING, HALF, HALF):
        notifier.look(serving, now=0.0)
    assert "READY=1" not in told(manager)
    notifier.look(READY, now=1.0)
    assert [message for message in told(manager) if "WATCHDOG" not in message] == [
        "STATUS=2 of 2 workers are ready",
        "READY=1",
    ]
    notifier.look(HALF, now=1.5)
    notifier.look(READY, now=2.0)
    assert "READY=1" not in told(manager)


def test_the_watchdog_is_fed_while_a_worker_serves(notifier: Notifier, manager: socket.socket) -> None:
    for second in range(100, 200):
        notifier.look(READY, now=float(second))
    assert told(manager).count("WATCHDOG=1") == 5, "three times a minute"
    for second in range(200, 300):
        notifier.look(HUNG, now=float(second))
    assert "WATCHDOG=1" not in told(manager)


def test_the_watchdog_of_another_process_is_not_fed(manager: socket.socket) -> None:
    given = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}
    receiver = Receiver.taken_from(given, os.getpid())
    assert receiver is not None
    assert receiver.watchdog_s is None
    assert given == {}


def test_the_end_says_how_long_it_may_take(notifier: Notifier, manager: socket.socket) -> None:
    notifier.stopping(within_s=335)
    assert told(manager) == ["STOPPING=1\nEXTEND_TIMEOUT_USEC=335000000"]


def test_a_receiver_that_has_gone_disturbs_nobody(notifier: Notifier, manager: socket.socket) -> None:
    manager.close()
    notifier.look(READY, now=0.0)
    notifier.stopping(within_s=1)


def test_nobody_is_told_where_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier()
    notifier.take_over()
    notifier.begin(lambda: pytest.fail("nobody looks"))
    notifier.stopping(within_s=1)

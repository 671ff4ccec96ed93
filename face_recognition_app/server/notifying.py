"""What the master tells whoever started it, by systemd's protocol: ready when every worker has warmed up, alive as long
as one serves, and how long its end may take.

Gunicorn itself says ready before it has started a worker, and knows no watchdog; so it does not get to see the socket.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

LOOKS_EVERY_S = 0.5
LONGEST_MESSAGE_S = 1.0
"""How long a message may wait for a receiver whose queue is full."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """`address`: of a datagram socket, in Python's form. `watchdog_s`: time after which silence counts as death; None
    if nobody watches."""

    address: str
    watchdog_s: float | None

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str], pid: int) -> Receiver | None:
        """The receiver that is named in `environ`, whose variables are removed; None without one."""
        given = {name: environ.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")}
        if not given["NOTIFY_SOCKET"]:
            return None
        address = given["NOTIFY_SOCKET"]
        return cls("\0" + address[1:] if address.startswith("@") else address, _watchdog_s(given, pid))

    def send(self, message: str) -> None:
        """Send, if somebody still receives: who only waited for the start has gone."""
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(LONGEST_MESSAGE_S)
            sender.connect(self.address)
            sender.send(message.encode())


def _watchdog_s(given: Mapping[str, str], pid: int) -> float | None:
    if not given["WATCHDOG_USEC"].isdecimal() or given["WATCHDOG_PID"] not in ("", str(pid)):
        return None
    return int(given["WATCHDOG_USEC"]) / 1_000_000 or None


@dataclass(frozen=True, slots=True)
class Serving:
    """Workers of a master now. `lively`: started, and their event loops turn."""

    ready: int
    wanted: int
    lively: int
    enough: bool


class Notifier:
    """Looks at the workers, in a thread that no fork inherits, and tells the receiver, if there is one."""

    def __init__(self) -> None:
        self._receiver: Receiver | None = None
        self._told_ready = False
        self._told_status = ""
        self._alive_at = 0.0

    def take_over(self) -> None:
        """Take the socket from the environment, before Gunicorn uses it."""
        self._receiver = self._receiver or Receiver.taken_from(os.environ, os.getpid())

    def begin(self, serving: Callable[[], Serving]) -> None:
        if self._receiver is not None:
            threading.Thread(target=self._watch, args=(serving,), name="notifier", daemon=True).start()

    def stopping(self, within_s: float) -> None:
        """Tell that the end has begun and takes so long at most. A signal handler may call it."""
        if self._receiver is not None:
            self._receiver.send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int(within_s * 1_000_000)}")

    def look(self, serving: Serving, now: float) -> None:
        """Tell what is due at monotonic time `now`."""
        receiver = self._receiver
        assert receiver is not None
        status = f"{serving.ready} of {serving.wanted} workers are ready"
        if status != self._told_status:
            receiver.send(f"STATUS={status}")
            self._told_status = status
        if serving.enough and not self._told_ready:
            receiver.send("READY=1")
            self._told_ready = True
        # Three times in each period, so that one message that comes late ends nobody.
        if receiver.watchdog_s and serving.lively and now - self._alive_at >= receiver.watchdog_s / 3:
            receiver.send("WATCHDOG=1")
            self._alive_at = now

    def _watch(self, serving: Callable[[], Serving]) -> None:
        while True:
            self.look(serving(), time.monotonic())
            time.sleep(LOOKS_EVERY_S)


@cache
def of_this_master() -> Notifier:
    """The same one, however often Gunicorn reads its configuration."""
    return Notifier()

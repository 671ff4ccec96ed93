"""One POST to a receiver, which is not trusted: to an address that was just checked, within a time, without redirects.

The connection is made to that very address, so that a name which has another one a moment later leads nowhere. TLS is
verified for the name. No proxy of the environment is used.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from webhooks.errors import UrlRefused
from webhooks.sending import addresses
from webhooks.sending.addresses import Rules, Target

CONNECT_TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 64 * 1024
KEPT_BYTES = 500
GONE = 410


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a try. `status`: None without an answer. `text`: the beginning of the answer's body."""

    status: int | None
    milliseconds: int
    text: str = ""
    error: str = ""

    @property
    def is_success(self) -> bool:
        return not self.error

    @property
    def is_gone(self) -> bool:
        return self.status == GONE


def post(url: str, body: bytes, headers: Mapping[str, str], rules: Rules, timeout_s: float) -> Answer:
    """Send `body` and read the answer. Every failure is an answer, too."""
    began = time.monotonic()
    try:
        target = addresses.parse(url, rules)
        found = addresses.resolve(target, rules)
        status, text = _exchange(target, found, body, headers, timeout_s)
        error = _fault_of(status)
    except (UrlRefused, OSError, http.client.HTTPException, ValueError) as problem:
        status, text, error = None, "", _in_words(problem, time.monotonic() - began >= timeout_s)
    return Answer(status, round(1000 * (time.monotonic() - began)), text, error)


def _exchange(
    target: Target, found: list[str], body: bytes, headers: Mapping[str, str], timeout_s: float
) -> tuple[int, str]:
    deadline = time.monotonic() + timeout_s
    connected = _connected(found, target.port, deadline)
    with connected, _cut_at(deadline, connected) as was_cut:
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.auto_open = 0  # Only the connection to the checked address, and no second one.
        connected.settimeout(max(0.1, deadline - time.monotonic()))
        connection.sock = _secured(connected, target)
        try:
            connection.request("POST", target.path, body, {"Host": target.netloc, "Connection": "close", **headers})
            answer = connection.getresponse()
            content = answer.read(MAX_ANSWER_BYTES) if answer.status != http.client.NO_CONTENT else b""
        finally:
            connection.close()
    if was_cut.is_set():  # What was read until then may look like a whole answer.
        raise TimeoutError
    return answer.status, content[:KEPT_BYTES].decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _connected(found: list[str], port: int, deadline: float) -> socket.socket:
    """A connection to the first of the addresses that accepts one. Raises OSError."""
    for number, address in enumerate(found, 1):
        left = max(0.1, min(CONNECT_TIMEOUT_S, deadline - time.monotonic()))
        try:
            return socket.create_connection((address, port), left)
        except OSError:
            if number == len(found) or time.monotonic() > deadline:
                raise
    raise OSError("no address")


def _secured(connected: socket.socket, target: Target) -> socket.socket:
    """The connection with TLS, where the URL says so. Raises ssl.SSLError, also for another name's certificate."""
    if target.scheme == "http":
        return connected
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context.wrap_socket(connected, server_hostname=target.host)


@contextmanager
def _cut_at(deadline: float, connected: socket.socket) -> Iterator[threading.Event]:
    """End the connection at the deadline: no time-out of a read ends one that brings a byte now and then.

    Yields what is set when that happened.
    """
    # A second descriptor, since wrapping for TLS takes the first one away from its object.
    handle, was_cut = connected.dup(), threading.Event()

    def cut() -> None:
        was_cut.set()
        with suppress(OSError):
            handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        yield was_cut
    finally:
        timer.cancel()
        timer.join()
        handle.close()


def _fault_of(status: int) -> str:
    if 200 <= status < 300:
        return ""
    if 300 <= status < 400:
        return f"the receiver answered {status}: redirects are not followed"
    return f"the receiver answered {status}"


def _in_words(problem: Exception, is_late: bool) -> str:
    if isinstance(problem, UrlRefused):
        return problem.message.removeprefix("url: ")
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"the certificate is not valid: {problem.verify_message}"
    if is_late or isinstance(problem, TimeoutError):
        return "the receiver did not answer in time"
    if isinstance(problem, http.client.RemoteDisconnected):
        return "the receiver ended the connection without an answer"
    if isinstance(problem, ssl.SSLError):
        return f"TLS failed: {problem.reason or 'the connection broke off'}"
    if isinstance(problem, OSError):
        return f"the connection failed: {problem.strerror or type(problem).__name__}"
    return f"the answer is not HTTP: {type(problem).__name__}"

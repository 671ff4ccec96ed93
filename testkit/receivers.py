"""Receivers of webhooks on loopback, which answer as they are told."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Received:
    """One request, with the names of its headers in small letters."""

    path: str
    headers: dict[str, str]
    body: bytes


Behaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Receiver:
    """`behaviours` answer the first requests, one each; the others are answered with 200."""

    url: str
    received: list[Received] = field(default_factory=list)
    behaviours: list[Behaviour] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def will(self, *behaviours: Behaviour) -> None:
        self.behaviours.extend(behaviours)


def answers(status: int, body: bytes = b"", **headers: str) -> Behaviour:
    def act(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return act


def sends(raw: bytes) -> Behaviour:
    """These bytes, whatever they are, and the end of the connection."""

    def act(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(raw)
        request.close_connection = True

    return act


def drips(piece: bytes, over: threading.Event, before: bytes = b"") -> Behaviour:
    """`before`, then the piece ten times a second until the test is over or the connection is."""

    def act(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(before)
        while not over.wait(0.1):
            request.wfile.write(piece)

    return act


def late(seconds: float, then: Behaviour) -> Behaviour:
    def act(request: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        then(request)

    return act


def pours(size: int) -> Behaviour:
    """An answer of so many bytes."""

    def act(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        for _ in range(size // 65_536):
            request.wfile.write(b"x" * 65_536)
        request.close_connection = True

    return act


@contextmanager
def receiver(certificate: Path | None = None) -> Iterator[Receiver]:
    """A receiver on 127.0.0.1; with TLS, if there is a file with a certificate and its key."""
    told = Receiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            act = told.behaviours.pop(0) if told.behaviours else answers(200)
            try:
                act(self)
            except OSError:
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            pass

    with _server(Handler, certificate) as port:
        told.url = f"{'https' if certificate else 'http'}://127.0.0.1:{port}/hook"
        try:
            yield told
        finally:
            told.over.set()


@contextmanager
def _server(handler: type[BaseHTTPRequestHandler], certificate: Path | None) -> Iterator[int]:
    server = _Server(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        pass  # A client that refuses the certificate, or has gone.


def write_certificate(path: Path, *names: str) -> Path:
    """A certificate that is its own authority, for these names and addresses, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = datetime.datetime.now(datetime.UTC)  # noqa: TID251 - of certificates, by the clock on the wall
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
